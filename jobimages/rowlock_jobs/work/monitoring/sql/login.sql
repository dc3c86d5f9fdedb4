-- login: one.
select id::text, name, username_encrypted, password_encrypted, state,
       greatest(0, coalesce(extract(epoch from next_login_at - clock_timestamp()), 0))::float8 as wait_seconds
  from mymoment_logins where id = %(login_id)s
