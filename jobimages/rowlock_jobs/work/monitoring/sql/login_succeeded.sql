-- login_succeeded: the new session replaces the old one.
with old as (update mymoment_sessions set is_active = false, updated_at = clock_timestamp() where mymoment_login_id = %(login_id)s and is_active)
update mymoment_logins set login_started_at = null, state = 'ok', failed_logins = 0, next_login_at = null, last_error = null, last_used = clock_timestamp(), full_logins = full_logins + 1
 where id = %(login_id)s
