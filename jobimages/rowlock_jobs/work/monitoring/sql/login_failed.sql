-- login_failed: backs off 1, 5, then 30 minutes; the third refusal, or a locked account, is a person's matter.
update mymoment_logins set login_started_at = null, failed_logins = failed_logins + 1, last_error = %(message)s,
    state = case when failed_logins + 1 >= 3 or %(locked)s then 'needs_reauth' else 'backing_off' end,
    next_login_at = clock_timestamp() + case failed_logins when 0 then interval '1 minute' when 1 then interval '5 minutes' else interval '30 minutes' end
 where id = %(login_id)s returning state, extract(epoch from next_login_at - clock_timestamp())::float8
