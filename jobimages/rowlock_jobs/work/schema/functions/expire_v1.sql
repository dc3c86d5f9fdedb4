-- Ends what has run for its whole duration; returns their ids. The operator asks every second, the CronJob every
-- minute.
create or replace function monitoring.expire_v1() returns setof uuid
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
declare v_id uuid;
begin
  for v_id in select id from monitoring_processes where status = 'running'
    and started_at + make_interval(mins => max_duration_minutes) <= clock_timestamp() for update skip locked loop
    perform monitoring.stop_v1(v_id, 'completed', 'DurationReached');
    return next v_id;
  end loop;
end $$;
revoke all on function monitoring.expire_v1 from public;
