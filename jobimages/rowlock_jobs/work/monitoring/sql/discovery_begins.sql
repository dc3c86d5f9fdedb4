-- discovery_begins: moved ahead first, so that a discovery that dies again and again comes at the process's own pace.
update monitoring_processes set next_discovery_at = clock_timestamp() + make_interval(secs => %(seconds)s) where id = %(process_id)s and status = 'running'
