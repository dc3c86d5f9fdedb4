-- A sweep goes on: a run whose verdict cannot be reckoned (spoilt budgets of its queue, an event that cannot be told)
-- is set aside, and all others are taken back. As in a round, only after the quick way failed has each run an exception
-- block of its own.

create function rowlock.settle_carefully(r rowlock.active, p_outcome text, p_failure jsonb) returns void language plpgsql
  set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  perform rowlock.settle(r, p_outcome, p_failure);
exception when others then
  if not rowlock.is_indigestible(sqlstate) then raise; end if;
  perform rowlock.set_aside(r.id, 'RunRefused',
    format('Its worker was lost, and it cannot be given back: %s. Requeue it once that is mended.', rtrim(sqlerrm, '.')));
end $$;

-- Runs of these runners, or (p_slow) of any runner that is gone, by the verdict for class infra.
create function rowlock.take_back(p_runners bigint[], p_max int, p_slow bool, p_careful bool) returns int language plpgsql
  set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  r rowlock.active; v_n int := 0;
  v_failure jsonb := jsonb_build_object('class', 'infra', 'reason', 'RunnerLost',
    'message', 'the worker that ran this attempt stopped renewing its lease (killed, evicted, or cut off)');
begin
  for r in
    select a.* from rowlock.active a where a.claimed_at is not null and a.state = 'running'
       and case when p_slow then not exists (select from rowlock.runner x where x.id = a.runner and not x.dead)
                else a.runner = any(p_runners) end
     order by a.claimed_at limit p_max for no key update skip locked
  loop
    if p_careful then perform rowlock.settle_carefully(r, 'failed', v_failure);
    else perform rowlock.settle(r, 'failed', v_failure);
    end if;
    v_n := v_n + 1;
  end loop;
  return v_n;
end $$;

-- Runs of lapsed runners. p_slow looks at every running run whose runner is gone (a start that raced with a sweep).
create or replace function rowlock.sweep_v1(p_max int default 1000, p_slow bool default false) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_runners bigint[]; v_n int;
begin
  update rowlock.runner set dead = true where lease_until < clock_timestamp() and not dead;
  select array_agg(id) into v_runners from rowlock.runner where dead;
  if v_runners is null and not p_slow then return 0; end if;
  begin
    v_n := rowlock.take_back(v_runners, p_max, p_slow, false);
  exception when others then
    if not rowlock.is_indigestible(sqlstate) then raise; end if;
    v_n := rowlock.take_back(v_runners, p_max, p_slow, true);
  end;
  if v_n < p_max and v_runners is not null then
    delete from rowlock.cancel_note where runner = any(v_runners);
    delete from rowlock.runner where id = any(v_runners) and dead;
  end if;
  return v_n;
end $$;

-- One claim that never started goes back to pending, same attempt; one that somebody asked to cancel ends.
create function rowlock.unclaim(r rowlock.active, p_now timestamptz) returns void language plpgsql
  set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  if r.cancel is not null then
    perform rowlock.end_run(r, 'canceled', null, jsonb_build_object('reason', r.cancel));
  else
    update rowlock.active set state = 'pending', due = p_now, claimed_at = null where id = r.id;
    perform rowlock.tell(r, p_now, 1, true);
  end if;
end $$;

-- Claimed but never started, and known to be in no Redis list or to have no kube job.
create or replace function rowlock.unqueue_v1(p_ids uuid[], p_attempts int[]) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare r rowlock.active; v_n int; v_now timestamptz := clock_timestamp(); v_careful bool := false;
begin
  loop
    begin
      v_n := 0;
      for r in select a.* from rowlock.active a join unnest(p_ids, p_attempts) w(id, attempt)
                  on a.id = w.id and a.attempt = w.attempt
                where a.state in ('queued', 'launching') order by a.id for no key update of a loop
        if v_careful then
          begin
            perform rowlock.unclaim(r, v_now);
          exception when others then
            if not rowlock.is_indigestible(sqlstate) then raise; end if;
            perform rowlock.set_aside(r.id, 'RunRefused', format('It cannot be given back: %s.', rtrim(sqlerrm, '.')));
          end;
        else
          perform rowlock.unclaim(r, v_now);
        end if;
        v_n := v_n + 1;
      end loop;
      return v_n;
    exception when others then
      if v_careful or not rowlock.is_indigestible(sqlstate) then raise; end if;
      v_careful := true;
    end;
  end loop;
end $$;

-- One run that somebody asked to end: at once, or, where it runs, by a note for its runner. False: it was asked before.
create function rowlock.end_on_request(r rowlock.active, p_reason text) returns bool language plpgsql
  set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  if r.state <> 'running' then
    perform rowlock.end_run(r, 'canceled', null, jsonb_build_object('class', 'app', 'reason', p_reason));
  elsif r.cancel is null then
    update rowlock.active set cancel = p_reason where id = r.id;
    insert into rowlock.cancel_note(runner, id) values (r.runner, r.id) on conflict do nothing;
  else
    return false;
  end if;
  return true;
end $$;

-- Waiting and claimed runs end at once. Running ones are told at their runner's next renewal; contract Exit: the
-- operator deletes the kube job.
create or replace function rowlock.cancel_v1(p_ids uuid[], p_reason text default 'Canceled') returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare r rowlock.active; v_n int; v_careful bool := false;
begin
  loop
    begin
      v_n := 0;
      for r in select * from rowlock.active where id = any(p_ids) order by id for update loop
        if v_careful then
          begin
            v_n := v_n + rowlock.end_on_request(r, p_reason)::int;
          exception when others then
            if not rowlock.is_indigestible(sqlstate) then raise; end if;
            v_n := v_n + rowlock.set_aside(r.id, 'RunRefused', format('It cannot be canceled: %s.', rtrim(sqlerrm, '.')))::int;
          end;
        else
          v_n := v_n + rowlock.end_on_request(r, p_reason)::int;
        end if;
      end loop;
      return v_n;
    exception when others then
      if v_careful or not rowlock.is_indigestible(sqlstate) then raise; end if;
      v_careful := true;
    end;
  end loop;
end $$;

revoke all on function rowlock.settle_carefully, rowlock.take_back, rowlock.unclaim, rowlock.end_on_request from public;
