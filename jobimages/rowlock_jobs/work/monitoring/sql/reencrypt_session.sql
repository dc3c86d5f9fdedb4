update mymoment_sessions set session_data_encrypted = %(new)s where id = %(id)s and session_data_encrypted = %(old)s
