-- health: processes by status, running ones without a sign of life for an hour, sessions in use.
select (select coalesce(jsonb_object_agg(status, n), '{}') from (select status, count(*) as n from monitoring_processes where is_active group by 1) x),
       (select coalesce(jsonb_agg(name order by name), '[]') from monitoring_processes where is_active and status = 'running' and last_activity_at < clock_timestamp() - interval '1 hour'),
       (select count(*) from mymoment_sessions where is_active and expires_at > clock_timestamp()),
       (select coalesce(jsonb_agg(name order by name), '[]') from mymoment_logins where is_active and state = 'needs_reauth')
