-- run_process: from asked-for to running.
select monitoring.run_v1(%(process_id)s)
