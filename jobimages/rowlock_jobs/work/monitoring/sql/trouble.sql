-- trouble: what went wrong last.
update monitoring_processes set last_error = left(%(error)s, 1000), last_error_at = clock_timestamp() where id = %(process_id)s
