-- The MonitoringProcess is gone: stopped, its records stay.
create or replace function monitoring.forget_v1(p_id uuid) returns bool
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
begin
  perform monitoring.stop_v1(p_id, 'stopped', 'Deleted');
  update monitoring_processes set is_active = false, updated_at = clock_timestamp() where id = p_id and is_active;
  return found;
end $$;
revoke all on function monitoring.forget_v1 from public;
