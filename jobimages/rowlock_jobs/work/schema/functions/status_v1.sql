-- What to show of some processes, in one statement. Counts of rows by status; articles = different ones.
create or replace function monitoring.status_v1(p_ids uuid[])
returns table(id uuid, status text, reason text, message text, requested_at timestamptz, started_at timestamptz,
  ends_at timestamptz, stopped_at timestamptz, next_discovery_at timestamptz,
  last_activity_at timestamptz, articles bigint, counts jsonb, waiting bigint, approved bigint, active bigint,
    per_minute float8, last_error text, needs_reauth text[])
language sql stable security definer set search_path = public, pg_catalog, pg_temp as $$
  select m.id, m.status, m.status_reason, m.error_message, m.start_requested_at, m.started_at,
    m.started_at + make_interval(mins => m.max_duration_minutes), m.stopped_at, m.next_discovery_at,
         m.last_activity_at, coalesce(c.articles, 0), coalesce(c.counts, '{}'), coalesce(c.waiting, 0),
           coalesce(c.approved, 0), coalesce(c.active, 0) + (m.discovery_state = 'queued')::int,
         coalesce(c.recent, 0) / 5.0, coalesce(m.generation_stopped, m.last_error, m.discovery_error, c.last_error),
         array(select l.name::text from mymoment_logins l join monitoring_process_logins p on p.mymoment_login_id = l.id
                where p.monitoring_process_id = m.id and p.is_active and l.state = 'needs_reauth' order by 1)
    from monitoring_processes m
    left join lateral (
      select (select count(distinct a.mymoment_article_id) from ai_comments a
        where a.monitoring_process_id = m.id) as articles,
             jsonb_object_agg(s.status, s.n) as counts, sum(s.waiting)::bigint as waiting,
               sum(s.approved)::bigint as approved,
             sum(s.n) filter (where s.status in ('preparing', 'generating', 'posting'))::bigint as active,
               sum(s.recent)::bigint as recent, max(s.error) as last_error
        from (select a.status, count(*) as n, count(*) filter (where a.status = 'generated'
          and a.approval = 'waiting') as waiting,
                     count(*) filter (where a.status = 'generated' and a.approval = 'approved') as approved,
                     count(*) filter (where a.status in ('generated', 'posted')
                       and a.updated_at > clock_timestamp() - interval '5 minutes') as recent,
                     max(a.error_message) filter (where a.status in ('failed', 'unknown')) as error
                from ai_comments a where a.monitoring_process_id = m.id group by a.status) s) c on true
   where m.id = any(p_ids)
$$;
revoke all on function monitoring.status_v1 from public;
