-- The run was lost, and now it is known why. What was no fault of anybody uses no try, also afterwards: where it was
-- the last one, the run goes on.
create or replace function rowlock.explain_loss(p_id uuid, p_attempt int, p_failure jsonb) returns bool
language plpgsql set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_free bool := rowlock.is_disruption(p_failure); v_state text;
begin
  update rowlock.active a set failure = a.failure || p_failure,
      infra_tries = case when v_free then greatest(a.infra_tries - 1, 0) else a.infra_tries end,
      interruptions = case when v_free then least(a.interruptions + 1, 30000) else a.interruptions end
    where a.id = p_id and a.failure->>'reason' = 'RunnerLost' and a.failure->>'attempt' = p_attempt::text;
  if found then return true; end if;
  update rowlock.done d set failure = d.failure || p_failure
    where d.id = p_id and d.attempt = p_attempt and d.failure->>'reason' = 'RunnerLost' returning d.state into v_state;
  if v_state is null then return false; end if;
  if v_free and v_state = 'dead' then perform rowlock.requeue_v1(array[p_id]); end if;
  return true;
end $$;
revoke all on function rowlock.explain_loss from public;
