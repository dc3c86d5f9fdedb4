-- session_close: a session that the site does not know any more.
update mymoment_sessions set is_active = false, updated_at = clock_timestamp() where id = %(session_id)s
