-- waiting: rows by status, for the answer of a task that was asked for a whole process.
select count(*) filter (where runnable and status = 'prepared'), count(*) filter (where status = 'generated' and approval = 'approved') from ai_comments where monitoring_process_id = %(process_id)s
