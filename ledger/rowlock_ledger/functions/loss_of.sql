-- What became of a run whose runner is gone (the caller holds the lock of ends): as it was told, or that nobody knows.
create or replace function rowlock.loss_of(p_run rowlock.active) returns jsonb
language plpgsql set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  v_runner rowlock.runner; v_end rowlock.host_end; v_host text; v_heard timestamptz;
  v_lost jsonb := jsonb_build_object('class', 'infra', 'reason', 'RunnerLost',
    'message', 'the worker that ran this attempt stopped renewing its lease (killed, evicted, or cut off)');
begin
  select * into v_runner from rowlock.runner where id = p_run.runner;
  if not found then return v_lost; end if;
  v_host := rowlock.host_of(v_runner.name);
  v_heard := rowlock.heard_at(v_runner);
  select * into v_end from rowlock.host_end h
    where h.queue_id = p_run.queue_id and h.host = v_host and h.told_at >= v_heard order by h.told_at limit 1;
  if found and v_end.runs is null then
    -- Whoever was there has been silent for as long as this one; who renewed meanwhile runs on.
    v_end.runs := array(
      select p_run.id
      union select a.id from rowlock.active a join rowlock.runner y on y.id = a.runner
             where a.claimed_at is not null and a.state = 'running' and a.queue_id = p_run.queue_id
               and rowlock.host_of(y.name) = v_host
               and rowlock.heard_at(y) <= least(v_end.told_at,
                 clock_timestamp() - make_interval(secs => y.lease_seconds / 2))
      union select l.id from rowlock.lost l where l.queue_id = p_run.queue_id and l.host = v_host
        and l.container = v_end.container
             and l.heard_at > v_end.told_at - interval '15 min');
    update rowlock.host_end h set runs = v_end.runs where h.queue_id = v_end.queue_id and h.host = v_end.host
      and h.container = v_end.container;
  end if;
  insert into rowlock.lost(id, attempt, queue_id, host, heard_at, container)
    values (p_run.id, p_run.attempt, p_run.queue_id, v_host, v_heard, v_end.container)
    on conflict (id, attempt) do nothing;
  if v_end.container is null then return v_lost || jsonb_build_object('worker', v_runner.name); end if;
  return rowlock.with_others(v_end.failure, v_end.runs) || jsonb_build_object('worker', v_runner.name);
end $$;
revoke all on function rowlock.loss_of from public;
