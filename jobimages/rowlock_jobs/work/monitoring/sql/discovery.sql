-- Articles: found, read, gone.

-- name: discover_all
-- The next look of every running process now.
update monitoring_processes set next_discovery_at = clock_timestamp() where status = 'running' and is_active

-- name: discovery_begins
-- Moved ahead first, so that a discovery that dies again and again comes at the process's own pace.
update monitoring_processes set next_discovery_at = clock_timestamp() + make_interval(secs => %(seconds)s)
  where id = %(process_id)s and status = 'running'

-- name: discovery_ends
-- Hits: the base interval; none: twice the pause, up to the longest.
update monitoring_processes set discovery_empty_streak = %(streak)s, last_activity_at = clock_timestamp(),
  last_error = %(error)s,
    last_error_at = case when %(error)s::text is null then last_error_at else clock_timestamp() end,
    next_discovery_at = clock_timestamp() + make_interval(secs => %(seconds)s) where id = %(process_id)s
      and status = 'running'

-- name: discovered
-- A row for each article this login saw and each prompt; rows that are there stay. Returns the new ones.
insert into ai_comments(mymoment_article_id, monitoring_process_id, mymoment_login_id, prompt_template_id,
  llm_provider_id, article_title, article_author, article_url,
    article_published_at, article_scraped_at, article_metadata, is_hidden, site, status)
  select a.id, %(process_id)s::uuid, %(login_id)s::uuid, p.prompt_template_id, m.llm_provider_id, a.title,
    left(a.author, 200), left(a.url, 500), a.published_at::timestamptz, clock_timestamp(),
         jsonb_build_object('status', a.status), m.hide_comments, %(site)s, 'discovered'
    from unnest(%(ids)s::text[], %(titles)s::text[], %(authors)s::text[], %(urls)s::text[], %(dates)s::text[],
      %(statuses)s::text[]) a(id, title, author, url, published_at, status),
         monitoring_processes m join monitoring_process_prompts p on p.monitoring_process_id = m.id and p.is_active
   where m.id = %(process_id)s
  on conflict (mymoment_article_id, monitoring_process_id, mymoment_login_id, prompt_template_id) do nothing returning 1

-- name: prepared
-- The article's text for every row of the process that waits for it.
update ai_comments set status = 'prepared', article_title = %(title)s,
  article_author = coalesce(nullif(article_author, ''), left(%(author)s, 200)), article_content = %(content)s,
  article_raw_html = %(html)s,
    article_category = coalesce(%(category_id)s, article_category),
      article_published_at = coalesce(%(published_at)s, article_published_at), article_scraped_at = clock_timestamp(),
    article_url = left(%(url)s, 500), article_metadata = coalesce(article_metadata, '{}')
      || jsonb_build_object('category', %(category)s, 'task', %(task)s),
    error_message = null, failed_at = null, updated_at = clock_timestamp()
  where monitoring_process_id = %(process_id)s and mymoment_article_id = %(article_id)s
    and (status in ('discovered', 'preparing') or id = %(comment_id)s and status = 'failed')

-- name: article_gone
-- This login cannot read it; its rows fail, and one of another login that found it may try.
update ai_comments set status = 'failed', failed_at = clock_timestamp(), error_message = %(message)s,
  updated_at = clock_timestamp()
  where monitoring_process_id = %(process_id)s and mymoment_article_id = %(article_id)s
    and mymoment_login_id = %(login_id)s and (status = 'discovered' or id = %(comment_id)s)

-- name: old_articles
-- Deletes rows after a year; what is in work stays.
delete from ai_comments where created_at < clock_timestamp() - interval '365 days'
  and status in ('discovered', 'prepared', 'generated', 'posted', 'failed', 'deleted')
   and not exists (select from monitoring_processes m where m.id = monitoring_process_id and m.status = 'running')
     returning 1
