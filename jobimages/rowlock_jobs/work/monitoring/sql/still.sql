-- still: right before the request, after a wait.
select wait_seconds, refused from monitoring.still_v1(%(process_id)s, %(site)s, %(login_id)s)
