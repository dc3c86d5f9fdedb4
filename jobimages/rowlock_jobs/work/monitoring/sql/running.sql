-- running: ids of the processes that run.
select id::text from monitoring_processes where is_active and status = 'running'
