-- login_turn: whoever gets the row logs in; a turn that was never ended (a dead pod) lasts a minute.
update mymoment_logins set login_started_at = clock_timestamp()
 where id = %(login_id)s and state <> 'needs_reauth' and (login_started_at is null or login_started_at < clock_timestamp() - interval '60 seconds') returning id
