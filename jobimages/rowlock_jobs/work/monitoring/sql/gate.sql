-- gate: the next free moment of the site and the login, or why nothing may be sent.
select wait_seconds, refused from monitoring.gate_v1(%(process_id)s, %(site)s, %(login_id)s, %(site_interval)s, %(login_interval)s, %(longest)s)
