-- discover_all: the next look of every running process now.
update monitoring_processes set next_discovery_at = clock_timestamp() where status = 'running' and is_active
