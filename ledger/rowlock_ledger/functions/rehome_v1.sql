-- Runs that wait in a queue whose WorkQueue is gone, while their RowSource names another one by now, go over to that
-- one; how many. Only where its task is still the run's: that one the other WorkQueue knows.
create or replace function rowlock.rehome_v1(p_max int default 1000) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare r rowlock.active; v_home int; v_n int := 0;
begin
  for r in
    select a.* from rowlock.queue q join rowlock.lane l on l.queue_id = q.id join rowlock.active a on a.lane = l.id
      and a.due is not null
      join rowlock.source s on s.id = a.source_id join rowlock.queue n on n.id = s.queue_id
     where q.deleted and not n.deleted and s.retired_at is null and a.queue_id = q.id and a.task = s.spec->>'task'
     limit p_max for update of a skip locked
  loop
    select s.queue_id into v_home from rowlock.source s where s.id = r.source_id;
    perform rowlock.tell(r, null, -1, false);
    r.queue_id := v_home;
    r.lane := rowlock.lane_of(r.queue_id, r.priority, r.fairness_key, r.limits);
    update rowlock.active set queue_id = r.queue_id, lane = r.lane where id = r.id;
    perform rowlock.tell(r, r.due, 1, false);
    v_n := v_n + 1;
  end loop;
  return v_n;
end $$;
revoke all on function rowlock.rehome_v1 from public;
