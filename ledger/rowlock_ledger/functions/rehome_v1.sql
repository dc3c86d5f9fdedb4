-- Runs that wait in a queue whose WorkQueue is gone, while their RowSource names another one by now, go over to that
-- one; how many. Only where its task is still the run's: that one the other WorkQueue knows.
create or replace function rowlock.rehome_v1(p_max int default 1000) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_run rowlock.active; v_home int; v_n int := 0;
begin
  for v_run in
    select a.* from rowlock.queue q join rowlock.lane l on l.queue_id = q.id join rowlock.active a on a.lane = l.id
      and a.due is not null
      join rowlock.source s on s.id = a.source_id join rowlock.queue n on n.id = s.queue_id
     where q.deleted and not n.deleted and s.retired_at is null and a.queue_id = q.id and a.task = s.spec->>'task'
     limit p_max for update of a skip locked
  loop
    select s.queue_id into v_home from rowlock.source s where s.id = v_run.source_id;
    perform rowlock.tell(v_run, null, -1, false);
    v_run.queue_id := v_home;
    v_run.lane := rowlock.lane_of(v_run.queue_id, v_run.priority, v_run.fairness_key, v_run.limits);
    update rowlock.active set queue_id = v_run.queue_id, lane = v_run.lane where id = v_run.id;
    perform rowlock.tell(v_run, v_run.due, 1, false);
    v_n := v_n + 1;
  end loop;
  return v_n;
end $$;
revoke all on function rowlock.rehome_v1 from public;
