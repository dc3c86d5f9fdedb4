-- process_status: one process as it is now.
select m.id::text, m.namespace, m.name, m.is_active, m.base_url as site, m.generate_only, s.status as phase, s.reason, s.message, s.requested_at, s.started_at, s.ends_at,
       s.stopped_at, m.discovery_state, s.next_discovery_at, s.last_activity_at, s.articles, s.counts, s.waiting, s.approved, s.active, s.per_minute, s.last_error
  from monitoring.status_v1(array[%(id)s::uuid]) s join public.monitoring_processes m using (id)
