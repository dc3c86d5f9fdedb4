-- hold: the site asked everybody to wait.
select monitoring.hold_v1(%(site)s, %(login_id)s, %(seconds)s)
