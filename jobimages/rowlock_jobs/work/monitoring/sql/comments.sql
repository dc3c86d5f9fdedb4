-- Comments: written by a model, approved, posted.

-- name: comment
-- One row with its prompt.
select c.id::text, c.mymoment_article_id as article_id, c.monitoring_process_id::text as process_id,
  c.mymoment_login_id::text as login_id, c.status, c.approval, c.approved_by,
       c.article_title as title, c.article_author as author, c.article_content as content, c.article_raw_html as html,
         coalesce(c.article_metadata->>'category', '') as category,
       coalesce(c.article_url, '') as url, c.article_published_at as published_at, c.comment_content as comment,
         c.posting_started_at is not null as posting_started,
       coalesce(p.system_prompt, '') as system_prompt, coalesce(p.user_prompt_template, '') as template
  from ai_comments c left join prompt_templates p on p.id = c.prompt_template_id where c.id = %(comment_id)s

-- name: runnable
-- The sources take the rows of a running process; how many wait.
select monitoring.mark_runnable(%(process_id)s::uuid)

-- name: waiting
-- Rows by status, for the answer of a task that was asked for a whole process.
select count(*) filter (where runnable and status = 'prepared'),
  count(*) filter (where status = 'generated' and approval = 'approved') from ai_comments
  where monitoring_process_id = %(process_id)s

-- name: spent
-- What the process has cost: tokens, comments written or being written. One at a time, or two would both be the last
-- that is allowed.
with alone as materialized (select 1 from monitoring_processes where id = %(process_id)s for update)
select coalesce(sum(generation_tokens), 0)::bigint,
       count(*) filter (where comment_content is not null or status = 'generating'
         and generating_since > clock_timestamp() - interval '15 minutes')
  from ai_comments, alone where monitoring_process_id = %(process_id)s and ai_comments.id <> %(comment_id)s

-- name: generation_begins
-- From here on it counts as being written.
update ai_comments set generating_since = clock_timestamp() where id = %(comment_id)s

-- name: generation_ends
-- Nothing was written.
update ai_comments set generating_since = null where id = %(comment_id)s

-- name: generated
-- The comment; approved at once where the process posts by itself.
update ai_comments c set status = 'generated', comment_content = %(comment)s, reasoning_content = %(reasoning)s,
  ai_model_name = left(%(model)s, 100), ai_provider_name = %(provider)s,
    generation_tokens = coalesce(c.generation_tokens, 0) + %(tokens)s, generation_time_ms = %(ms)s,
      error_message = null, failed_at = null, generating_since = null, updated_at = clock_timestamp(),
    approval = case when m.generate_only then 'waiting' else 'approved' end, approved_by = case when m.generate_only
      then null else 'process' end,
    approved_at = case when m.generate_only then null else clock_timestamp() end
  from monitoring_processes m where c.id = %(comment_id)s and m.id = c.monitoring_process_id
    and c.status in ('generating', 'failed') returning c.approval

-- name: tokens
-- What an answer cost that could not be used.
update ai_comments set generation_tokens = coalesce(generation_tokens, 0) + %(tokens)s, retry_count = retry_count + 1
  where id = %(comment_id)s

-- name: stop_generating
-- Nothing more is asked of the model until somebody changes the process.
with told as (update monitoring_processes set generation_stopped = %(error)s, last_error = %(error)s,
  last_error_at = clock_timestamp() where id = %(process_id)s)
update ai_comments set runnable = false where monitoring_process_id = %(process_id)s
  and status in ('prepared', 'generating')

-- name: withdraw
-- The process may not post by itself any more: a person decides.
update ai_comments set approval = 'waiting', approved_by = null, approved_at = null, updated_at = clock_timestamp()
  where id = %(comment_id)s and approved_by = 'process'

-- name: posting_begins
-- Before the POST: whoever comes after a crash looks at the article first.
update ai_comments set posting_started_at = clock_timestamp(), updated_at = clock_timestamp() where id = %(comment_id)s
  and status in ('posting', 'failed', 'unknown') returning 1

-- name: posted
-- It is on the site.
update ai_comments set status = 'posted', posted_at = clock_timestamp(), error_message = null, failed_at = null,
  updated_at = clock_timestamp(),
    mymoment_comment_id = coalesce(%(comment_id_at_site)s, mymoment_article_id || '-'
      || extract(epoch from clock_timestamp())::bigint || '-' || left(id::text, 8))
  where id = %(comment_id)s and status in ('posting', 'failed', 'unknown')
