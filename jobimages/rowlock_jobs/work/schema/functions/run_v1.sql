-- From created to running, by the task. False: nobody asks for it any more.
create or replace function monitoring.run_v1(p_id uuid) returns bool
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
begin
  update monitoring_processes set status = 'running', status_reason = 'Started', started_at = clock_timestamp(),
    stopped_at = null, last_activity_at = clock_timestamp(),
      next_discovery_at = clock_timestamp(), start_requested_at = null, updated_at = clock_timestamp()
    where id = p_id and is_active and start_requested_at is not null;
  if not found then return false; end if;
  perform monitoring.mark_runnable(p_id);
  return true;
end $$;
revoke all on function monitoring.run_v1 from public;
