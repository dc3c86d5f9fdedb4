-- comment: one row with its prompt.
select c.id::text, c.mymoment_article_id as article_id, c.monitoring_process_id::text as process_id, c.mymoment_login_id::text as login_id, c.status, c.approval, c.approved_by,
       c.article_title as title, c.article_author as author, c.article_content as content, c.article_raw_html as html, coalesce(c.article_metadata->>'category', '') as category,
       coalesce(c.article_url, '') as url, c.article_published_at as published_at, c.comment_content as comment, c.posting_started_at is not null as posting_started,
       coalesce(p.system_prompt, '') as system_prompt, coalesce(p.user_prompt_template, '') as template
  from ai_comments c left join prompt_templates p on p.id = c.prompt_template_id where c.id = %(comment_id)s
