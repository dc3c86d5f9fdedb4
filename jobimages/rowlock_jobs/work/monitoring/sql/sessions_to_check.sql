-- sessions_to_check: unused for an hour, of logins that a running process uses.
select distinct on (s.id) m.id::text, s.mymoment_login_id::text
  from mymoment_sessions s join monitoring_process_logins p on p.mymoment_login_id = s.mymoment_login_id and p.is_active join monitoring_processes m on m.id = p.monitoring_process_id
 where s.is_active and s.expires_at > clock_timestamp() and s.last_accessed < clock_timestamp() - interval '1 hour' and m.status = 'running' and m.is_active order by s.id, m.id limit 20
