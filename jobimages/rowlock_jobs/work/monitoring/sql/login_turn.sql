-- login_turn: whoever gets the row logs in; a turn that was never ended (a dead pod) ends with its run, or after a
-- minute.
update mymoment_logins set login_started_at = clock_timestamp(), login_run = %(run_id)s
 where id = %(login_id)s and state <> 'needs_reauth'
   and (login_started_at is null or login_started_at < clock_timestamp() - interval '60 seconds' or login_run = %(run_id)s or monitoring.run_is_over(login_run)) returning id
