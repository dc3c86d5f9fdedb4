-- session: the newest usable cookies of a login.
select id::text, session_data_encrypted from mymoment_sessions
 where mymoment_login_id = %(login_id)s and is_active and expires_at > clock_timestamp() order by created_at desc limit 1
