-- active: something was done for the process.
update monitoring_processes set last_activity_at = clock_timestamp() where id = %(process_id)s and last_activity_at < clock_timestamp() - interval '5 seconds'
