-- session_open: valid for a day.
insert into mymoment_sessions(mymoment_login_id, session_data_encrypted, expires_at) values (%(login_id)s, %(data)s, clock_timestamp() + interval '24 hours') returning id::text
