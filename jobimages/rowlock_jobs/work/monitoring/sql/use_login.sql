-- use_login: one more use, or false.
select monitoring.use_login_v1(%(login_id)s, %(run_id)s, %(allowed)s)
