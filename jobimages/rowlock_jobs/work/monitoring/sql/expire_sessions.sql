-- expire_sessions: a day is over.
update mymoment_sessions set is_active = false, updated_at = clock_timestamp() where is_active and expires_at <= clock_timestamp() returning 1
