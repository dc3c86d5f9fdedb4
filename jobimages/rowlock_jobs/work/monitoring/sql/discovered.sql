-- discovered: a row for each article this login saw and each prompt; rows that are there stay. Returns the new ones.
insert into ai_comments(mymoment_article_id, monitoring_process_id, mymoment_login_id, prompt_template_id, llm_provider_id, article_title, article_author, article_url,
    article_published_at, article_scraped_at, article_metadata, is_hidden, site, status)
  select a.id, %(process_id)s::uuid, %(login_id)s::uuid, p.prompt_template_id, m.llm_provider_id, a.title, left(a.author, 200), left(a.url, 500), a.published_at::timestamptz, clock_timestamp(),
         jsonb_build_object('status', a.status), m.hide_comments, %(site)s, 'discovered'
    from unnest(%(ids)s::text[], %(titles)s::text[], %(authors)s::text[], %(urls)s::text[], %(dates)s::text[], %(statuses)s::text[]) a(id, title, author, url, published_at, status),
         monitoring_processes m join monitoring_process_prompts p on p.monitoring_process_id = m.id and p.is_active
   where m.id = %(process_id)s
  on conflict (mymoment_article_id, monitoring_process_id, mymoment_login_id, prompt_template_id) do nothing returning 1
