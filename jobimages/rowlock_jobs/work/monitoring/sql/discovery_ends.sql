-- discovery_ends: hits: the base interval; none: twice the pause, up to the longest.
update monitoring_processes set discovery_empty_streak = %(streak)s, last_activity_at = clock_timestamp(), last_error = %(error)s,
    last_error_at = case when %(error)s::text is null then last_error_at else clock_timestamp() end,
    next_discovery_at = clock_timestamp() + make_interval(secs => %(seconds)s) where id = %(process_id)s and status = 'running'
