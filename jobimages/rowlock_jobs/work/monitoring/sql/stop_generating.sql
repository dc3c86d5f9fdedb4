-- stop_generating: nothing more is asked of the model until somebody changes the process.
with told as (update monitoring_processes set generation_stopped = %(error)s, last_error = %(error)s, last_error_at = clock_timestamp() where id = %(process_id)s)
update ai_comments set runnable = false where monitoring_process_id = %(process_id)s and status in ('prepared', 'generating')
