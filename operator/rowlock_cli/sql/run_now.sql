-- run_now: false where the process does not run.
select monitoring.run_now_v1(%(id)s::uuid)
