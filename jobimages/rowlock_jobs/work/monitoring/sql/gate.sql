-- When a request to a site may be sent.

-- name: gate
-- The next free moment of the site and the login, or why nothing may be sent.
select wait_seconds, refused from monitoring.gate_v1(%(process_id)s, %(site)s, %(login_id)s, %(site_interval)s,
  %(login_interval)s, %(longest)s)

-- name: hold
-- The site asked everybody to wait.
select monitoring.hold_v1(%(site)s, %(login_id)s, %(seconds)s)

-- name: still
-- Right before the request, after a wait.
select wait_seconds, refused from monitoring.still_v1(%(process_id)s, %(site)s, %(login_id)s)

-- name: use_login
-- One more use, or false.
select monitoring.use_login_v1(%(login_id)s, %(run_id)s, %(allowed)s)

-- name: leave_login
-- The use is over.
select monitoring.leave_login_v1(%(login_id)s, %(run_id)s)
