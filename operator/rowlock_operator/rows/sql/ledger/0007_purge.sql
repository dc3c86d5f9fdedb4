-- Clearing up by hand: history that is not wanted any more, and what waits and shall not run.

-- Deletes ended runs of one queue that ended longer ago than p_older, at most p_max of them, with their arguments;
-- returns how many. Keys in rowlock.seen stay: a row whose history is gone must not run again.
create function rowlock.purge_v1(p_queue text, p_states text[], p_older interval default '0', p_max int default 5000) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare
  v_queue int := rowlock.queue_id(p_queue); v_before timestamptz := clock_timestamp() - coalesce(p_older, interval '0'); v_ids uuid[]; v_ended timestamptz[]; v_n int;
begin
  if p_states is null or not p_states <@ array['succeeded', 'dead', 'unknown', 'canceled'] then
    raise exception 'only succeeded, dead, unknown and canceled runs are purged, not %', coalesce(array_to_string(p_states, ', '), 'null')
      using errcode = 'RW002', hint = 'Runs that have not ended are canceled first.';
  end if;
  if p_states <@ array['dead', 'unknown'] then
    -- The same again with the words of the partial index done_attention: among a million succeeded ones the few dead
    -- must be found without reading all.
    select array_agg(d.id), array_agg(d.finished_at) into v_ids, v_ended
      from (select x.id, x.finished_at from rowlock.done x
             where x.queue_id = v_queue and x.state in ('dead', 'unknown') and x.state = any(p_states) and x.finished_at <= v_before limit p_max) d;
  else
    select array_agg(d.id), array_agg(d.finished_at) into v_ids, v_ended
      from (select x.id, x.finished_at from rowlock.done x where x.queue_id = v_queue and x.state = any(p_states) and x.finished_at <= v_before limit p_max) d;
  end if;
  -- By id and end: a run that was requeued in between is no longer this one, and keeps its arguments.
  with gone as (
    delete from rowlock.done d using unnest(v_ids, v_ended) w(id, finished_at) where d.id = w.id and d.finished_at = w.finished_at returning d.id),
  args as (delete from rowlock.payload p using gone where p.id = gone.id)
  select count(*) into v_n from gone;
  return v_n;
end $$;

-- Ends runs of one queue that have not started and were made before p_before, at most p_max of them, the oldest first;
-- returns how many. cancel_v1 by ids would not do: a run that starts between the list and the call would be told to
-- end.
create function rowlock.cancel_waiting_v1(p_queue text, p_states text[] default '{pending,queued,launching}', p_before timestamptz default null, p_max int default 1000,
    p_reason text default 'Canceled') returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare r rowlock.active; v_queue int := rowlock.queue_id(p_queue); v_before timestamptz := coalesce(p_before, clock_timestamp()); v_n int := 0;
begin
  if p_states is null or not p_states <@ array['pending', 'queued', 'launching'] then
    raise exception 'only pending, queued and launching runs wait, not %', coalesce(array_to_string(p_states, ', '), 'null') using errcode = 'RW002';
  end if;
  -- Skips what the claimer or a worker holds this moment: waiting for them in another order than theirs could deadlock.
  for r in select * from rowlock.active a where a.queue_id = v_queue and a.state = any(p_states) and a.created_at <= v_before order by a.id limit p_max for update skip locked loop
    perform rowlock.end_run(r, 'canceled', null, jsonb_build_object('class', 'app', 'reason', p_reason));
    v_n := v_n + 1;
  end loop;
  return v_n;
end $$;

-- Pinned as the others are (0006).
do $$
declare f regprocedure;
begin
  for f in select p.oid::regprocedure from pg_proc p where p.pronamespace = 'rowlock'::regnamespace and p.proname in ('purge_v1', 'cancel_waiting_v1') loop
    execute format('alter function %s set jit = off', f);
    execute format('alter function %s set enable_seqscan = off', f);
    execute format('alter function %s set enable_hashjoin = off', f);
    execute format('alter function %s set enable_mergejoin = off', f);
    execute format('alter function %s set plan_cache_mode = force_generic_plan', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to rowlock_client', f);
  end loop;
end $$;
