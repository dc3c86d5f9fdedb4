-- spent: what the process has cost: tokens, comments written or being written. One at a time, or two would both be the
-- last that is allowed.
with alone as materialized (select 1 from monitoring_processes where id = %(process_id)s for update)
select coalesce(sum(generation_tokens), 0)::bigint,
       count(*) filter (where comment_content is not null or status = 'generating' and generating_since > clock_timestamp() - interval '15 minutes')
  from ai_comments, alone where monitoring_process_id = %(process_id)s and ai_comments.id <> %(comment_id)s
