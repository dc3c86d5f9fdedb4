-- Claims that nobody serves go back to pending, same attempt; how many. `queued` in a queue that was made anew in mode
-- Jobs, or whose WorkQueue is gone: a worker that still pops its id is refused by the start fence, or is the one that
-- starts it. `launching` in one of mode Workers: only where no launcher follows kube jobs (p_launching), for a kube job
-- that runs under contract Exit must be gone before.
create function rowlock.misfits_v1(p_max int default 1000, p_launching bool default false) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_ids uuid[]; v_attempts int[];
begin
  select array_agg(a.id), array_agg(a.attempt) into v_ids, v_attempts
    from (select a.id, a.attempt from rowlock.active a join rowlock.queue q on q.id = a.queue_id
           where a.claimed_at is not null and ((a.state = 'queued' and (q.mode = 'Jobs' or q.deleted)) or (p_launching and a.state = 'launching' and q.mode = 'Workers'))
           limit p_max) a;
  return case when v_ids is null then 0 else rowlock.unqueue_v1(v_ids, v_attempts) end;
end $$;

-- Runs that wait in a queue whose WorkQueue is gone, while their RowSource names another one by now, go over to that
-- one; how many. Only where its task is still the run's: that one the other WorkQueue knows.
create function rowlock.rehome_v1(p_max int default 1000) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare r rowlock.active; v_home int; v_n int := 0;
begin
  for r in
    select a.* from rowlock.queue q join rowlock.lane l on l.queue_id = q.id join rowlock.active a on a.lane = l.id and a.due is not null
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
revoke all on function rowlock.misfits_v1, rowlock.rehome_v1 from public;
