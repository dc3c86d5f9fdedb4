-- close_sessions: of logins that no other running process uses.
update mymoment_sessions s set is_active = false, updated_at = clock_timestamp()
  from monitoring_process_logins p where p.monitoring_process_id = %(process_id)s and p.mymoment_login_id = s.mymoment_login_id and s.is_active
   and not exists (select from monitoring_process_logins o join monitoring_processes m on m.id = o.monitoring_process_id
                    where o.mymoment_login_id = s.mymoment_login_id and o.monitoring_process_id <> p.monitoring_process_id and o.is_active and m.status = 'running') returning 1
