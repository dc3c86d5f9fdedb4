-- logins: of a process, those it still names.
select l.id::text, l.name, l.username_encrypted, l.password_encrypted, l.state,
       greatest(0, coalesce(extract(epoch from l.next_login_at - clock_timestamp()), 0))::float8 as wait_seconds
  from mymoment_logins l join monitoring_process_logins p on p.mymoment_login_id = l.id
 where p.monitoring_process_id = %(process_id)s and p.is_active and l.is_active order by l.name, l.id
