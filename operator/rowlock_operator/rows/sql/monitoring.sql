-- name: installed
-- Whether the domain's migration has run in this database.
select to_regprocedure('monitoring.status_v1(uuid[])') is not null

-- name: apply
select monitoring.apply_v1(%(document)s::jsonb)

-- name: start
select monitoring.start_v1(%(id)s::uuid, %(per_owner)s)

-- name: stop
select monitoring.stop_v1(%(id)s::uuid, %(status)s, %(reason)s)

-- name: forget
select monitoring.forget_v1(%(id)s::uuid)

-- name: expire
select monitoring.expire_v1()::text

-- name: status
select id::text, status, reason, message, requested_at, started_at, ends_at, stopped_at, next_discovery_at,
       last_activity_at, articles, counts, waiting, approved, active, per_minute, last_error, needs_reauth
  from monitoring.status_v1(%(ids)s::uuid[])

-- name: alive
-- Processes of MonitoringProcesses that run or are about to: to find those whose object is gone.
select id::text, namespace from monitoring_processes where is_active and namespace is not null
  and (status = 'running' or start_requested_at is not null)
