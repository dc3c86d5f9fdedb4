-- The next discovery now instead of later. False: it does not run.
create or replace function monitoring.run_now_v1(p_id uuid) returns bool
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  with done as (update monitoring_processes set next_discovery_at = clock_timestamp(), discovery_empty_streak = 0
    where id = p_id and is_active and status = 'running' returning 1)
  select exists (select from done)
$$;
revoke all on function monitoring.run_now_v1 from public;
