-- Runs that were started together with others and that their runner swears never to have begun: queued again, same
-- attempt, no try lost. Guarded like a finish: this attempt, this token. What somebody asked to cancel meanwhile ends
-- here. An id that does not come back is not to be queued.
create or replace function rowlock.hand_back_v1(p_ids uuid[], p_attempts int[], p_token uuid) returns setof uuid
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_run rowlock.active;
begin
  for v_run in select a.* from rowlock.active a join unnest(p_ids, p_attempts) w(id, attempt) on a.id = w.id
    and a.attempt = w.attempt
            where a.token = p_token and a.state = 'running' and a.effect is null order by a.id for update of a loop
    if v_run.cancel is not null then
      perform rowlock.end_run(v_run, 'canceled', null, jsonb_build_object('class', 'app', 'reason', v_run.cancel));
    else
      -- claimed_at is now: the sweeper gives whoever puts the id back into Redis its seconds.
      update rowlock.active set state = 'queued', runner = null, token = null, started_at = null,
        claimed_at = clock_timestamp() where id = v_run.id;
      return next v_run.id;
    end if;
  end loop;
end $$;
revoke all on function rowlock.hand_back_v1 from public;
grant execute on function rowlock.hand_back_v1 to rowlock_worker;
