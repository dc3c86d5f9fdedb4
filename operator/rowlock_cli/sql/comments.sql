-- comments: newest first. A null filter lets everything through; deleted ones are shown to who asks for them.
select c.id::text, m.namespace || '/' || m.name as process, c.article_title, l.name as login, t.name as prompt, c.status, c.approval, c.approved_by, c.error_message,
       c.created_at, c.posted_at
  from public.ai_comments c
  left join public.monitoring_processes m on m.id = c.monitoring_process_id
  left join public.mymoment_logins l on l.id = c.mymoment_login_id
  left join public.prompt_templates t on t.id = c.prompt_template_id
 where (%(process)s::uuid is null or c.monitoring_process_id = %(process)s::uuid)
   and case when %(statuses)s::text[] is null then c.status <> 'deleted' else c.status = any(%(statuses)s) end
   and (%(approvals)s::text[] is null or (c.status = 'generated' and c.approval = any(%(approvals)s)))
 order by c.created_at desc, c.id limit %(limit)s
