-- logins: never a name or word of a Secret; `name` is what the MonitoringProcess calls it.
select l.id::text, l.name, l.base_url as site, l.state, l.failed_logins, l.next_login_at, l.last_error, l.full_logins, s.created_at as session_since, s.expires_at as session_expires,
       (select count(*) from monitoring.login_use u where u.login_id = l.id and u.until > clock_timestamp()) as uses,
       array(select m.namespace || '/' || m.name from public.monitoring_process_logins p join public.monitoring_processes m on m.id = p.monitoring_process_id
              where p.mymoment_login_id = l.id and p.is_active and m.is_active and m.namespace is not null order by 1) as processes
  from public.mymoment_logins l
  left join lateral (select x.created_at, x.expires_at from public.mymoment_sessions x
                      where x.mymoment_login_id = l.id and x.is_active and x.expires_at > clock_timestamp() order by x.created_at desc limit 1) s on true
 where l.is_active and (%(process)s::uuid is null or exists (select from public.monitoring_process_logins p
         where p.monitoring_process_id = %(process)s::uuid and p.mymoment_login_id = l.id and p.is_active))
 order by l.base_url, l.name, l.id
