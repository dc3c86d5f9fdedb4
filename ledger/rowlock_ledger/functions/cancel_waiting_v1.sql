-- Ends runs of one queue that have not started and were made before p_before, at most p_max of them, the oldest first;
-- returns how many. cancel_v1 by ids would not do: a run that starts between the list and the call would be told to
-- end.
create or replace function rowlock.cancel_waiting_v1(
    p_queue text, p_states text[] default '{pending,queued,launching}', p_before timestamptz default null,
    p_max int default 1000, p_reason text default 'Canceled'
) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_run rowlock.active; v_queue int := rowlock.queue_id(p_queue);
v_before timestamptz := coalesce(p_before, clock_timestamp()); v_n int := 0;
begin
  if p_states is null or not p_states <@ array['pending', 'queued', 'launching'] then
    raise exception 'only pending, queued and launching runs wait, not %',
      coalesce(array_to_string(p_states, ', '), 'null') using errcode = 'RW002';
  end if;
  -- Skips what the claimer or a worker holds this moment: waiting for them in another order than theirs could deadlock.
  for v_run in select * from rowlock.active a where a.queue_id = v_queue and a.state = any(p_states)
    and a.created_at <= v_before order by a.id limit p_max for update skip locked loop
    perform rowlock.end_run(v_run, 'canceled', null, jsonb_build_object('class', 'app', 'reason', p_reason));
    v_n := v_n + 1;
  end loop;
  return v_n;
end $$;
revoke all on function rowlock.cancel_waiting_v1 from public;
grant execute on function rowlock.cancel_waiting_v1 to rowlock_client;
