-- comments_waiting: what a person may decide of a process; not what was written after the question.
select id::text from public.ai_comments
 where monitoring_process_id = %(process)s::uuid and status = 'generated' and approval = 'waiting' and updated_at <= %(until)s::timestamptz order by created_at, id
