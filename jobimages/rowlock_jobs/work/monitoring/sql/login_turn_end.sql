-- login_turn_end: the login did not come to an answer.
update mymoment_logins set login_started_at = null where id = %(login_id)s
