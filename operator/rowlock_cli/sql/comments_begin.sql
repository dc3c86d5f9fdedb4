-- comments_begin: those whose id begins so, with their texts.
select c.id::text, m.namespace, m.namespace || '/' || m.name as process, m.status as phase, c.mymoment_article_id as article_id, c.article_title, c.article_author, c.article_url,
       c.article_content, l.name as login, t.name as prompt, c.status, c.approval, c.approved_by, c.approved_at, c.comment_content, c.reasoning_content,
       c.ai_provider_name as provider, c.ai_model_name as model, c.generation_tokens as tokens, c.generation_time_ms, c.error_message, c.created_at, c.updated_at,
       c.posting_started_at, c.posted_at, c.mymoment_comment_id as comment_id_at_site
  from public.ai_comments c
  left join public.monitoring_processes m on m.id = c.monitoring_process_id
  left join public.mymoment_logins l on l.id = c.mymoment_login_id
  left join public.prompt_templates t on t.id = c.prompt_template_id
 where c.id between %(low)s::uuid and %(high)s::uuid order by c.id limit 6
