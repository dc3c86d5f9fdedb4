-- Claims that nobody serves go back to pending, same attempt; how many. `queued` in a queue that was made anew in mode
-- Jobs, or whose WorkQueue is gone: a worker that still pops its id is refused by the start fence, or is the one that
-- starts it. `launching` in one of mode Workers: only where no launcher follows kube jobs (p_launching), for a kube job
-- that runs under contract Exit must be gone before.
create or replace function rowlock.misfits_v1(p_max int default 1000, p_launching bool default false) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_ids uuid[]; v_attempts int[];
begin
  select array_agg(a.id), array_agg(a.attempt) into v_ids, v_attempts
    from (select a.id, a.attempt from rowlock.active a join rowlock.queue q on q.id = a.queue_id
           where a.claimed_at is not null and ((a.state = 'queued' and (q.mode = 'Jobs' or q.deleted))
             or (p_launching and a.state = 'launching' and q.mode = 'Workers'))
           limit p_max) a;
  return case when v_ids is null then 0 else rowlock.unqueue_v1(v_ids, v_attempts) end;
end $$;
revoke all on function rowlock.misfits_v1 from public;
