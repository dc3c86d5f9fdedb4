-- session_used: the cookies as they are after a use.
update mymoment_sessions set last_accessed = clock_timestamp(), updated_at = clock_timestamp(), session_data_encrypted = coalesce(%(data)s, session_data_encrypted) where id = %(session_id)s
