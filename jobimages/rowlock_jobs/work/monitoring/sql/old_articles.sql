-- old_articles: after a year; what is in work stays.
delete from ai_comments where created_at < clock_timestamp() - interval '365 days' and status in ('discovered', 'prepared', 'generated', 'posted', 'failed', 'deleted')
   and not exists (select from monitoring_processes m where m.id = monitoring_process_id and m.status = 'running') returning 1
