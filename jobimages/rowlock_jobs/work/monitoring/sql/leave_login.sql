-- leave_login: the use is over.
select monitoring.leave_login_v1(%(login_id)s, %(run_id)s)
