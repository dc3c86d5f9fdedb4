-- A tick of a schedule as a run of `p_queue`; null where this tick was taken before.
create or replace function monitoring.tick_v1(
    p_schedule text, p_tick text, p_queue text, p_task text, p_args jsonb default '{}'
) returns uuid
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
declare v_run uuid;
begin
  insert into monitoring.tick(schedule, tick) values (p_schedule, p_tick) on conflict do nothing;
  if not found then return null; end if;
  v_run := rowlock.enqueue_v1(p_queue, p_task, p_args, 'tick:' || p_schedule || ':' || p_tick);
  update monitoring.tick set run_id = v_run where schedule = p_schedule and tick = p_tick;
  delete from monitoring.tick where schedule = p_schedule and created_at < clock_timestamp() - interval '7 days';
  return v_run;
end $$;
revoke all on function monitoring.tick_v1 from public;
