-- runnable: the sources take the rows of a running process; how many wait.
select monitoring.mark_runnable(%(process_id)s::uuid)
