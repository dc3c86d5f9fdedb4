-- stop_process: ends it at once.
select monitoring.stop_v1(%(process_id)s, %(status)s, %(reason)s, %(message)s)
