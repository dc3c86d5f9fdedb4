-- The verdict over a run that did not succeed (the row is locked by the caller): retried, or ended as dead, unknown or
-- canceled. Returns the new state. infra: the runner, the pod or the node went away; the task's own budgets stay as
-- they are.
-- A run that had begun an effect when its runner was lost ends as unknown, also where somebody had asked to cancel it:
-- canceled would say that nothing happened.
-- What the platform does to a run is not the run's failure: an attempt that never started, and one that an eviction, a
-- preemption or a lost node ended, uses no try of any class. Such a run waits longer each time and never ends as dead.
-- A loss without a cause (a killed container, a lapsed runner, no memory) may be the task's own doing, and keeps its
-- budget.
create or replace function rowlock.settle(p_run rowlock.active, p_outcome text, p_failure jsonb) returns text
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  v_class text := coalesce(p_failure->>'class', 'app'); v_delay float8; v_due timestamptz; v_tries int; v_failure jsonb;
  v_final bool := v_class = 'input' or coalesce((p_failure->>'permanent')::bool, false);
  v_retry jsonb := (select retry from rowlock.queue where id = p_run.queue_id);
begin
  v_failure := coalesce(p_failure, '{}') || jsonb_build_object('class', v_class, 'attempt', p_run.attempt,
    'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
  if p_outcome = 'unknown' or p_run.effect is not null then
    perform rowlock.end_run(p_run, 'unknown', null, v_failure || jsonb_build_object('effect', p_run.effect));
    return 'unknown';
  end if;
  if p_outcome = 'canceled' or p_run.cancel is not null then
    perform rowlock.end_run(p_run, 'canceled', null,
      v_failure || jsonb_build_object('reason', coalesce(p_run.cancel, v_failure->>'reason', 'Canceled')));
    return 'canceled';
  end if;
  if not v_final and coalesce(rowlock.is_disruption(p_failure), false) then
    p_run.interruptions := least(p_run.interruptions + 1, 30000);
    v_delay := rowlock.interruption_delay(v_retry, p_run.interruptions);
  else
    p_run.interruptions := 0;
    v_tries := case v_class when 'infra' then p_run.infra_tries when 'site' then p_run.site_tries
      else p_run.app_tries end + 1;
    if not v_final then v_delay := rowlock.retry_delay(v_retry, v_class, v_tries); end if;
    p_run.infra_tries := p_run.infra_tries + (v_class = 'infra')::int;
    p_run.site_tries := p_run.site_tries + (v_class = 'site')::int;
    p_run.app_tries := p_run.app_tries + (v_class not in ('infra', 'site', 'input'))::int;
  end if;
  if v_delay is null then
    perform rowlock.end_run(p_run, 'dead', null, v_failure);
    return 'dead';
  end if;
  v_delay := greatest(coalesce((p_failure->>'after_seconds')::float8, v_delay), 0);
  v_due := clock_timestamp() + make_interval(secs => v_delay);
  update rowlock.active a set state = 'pending', attempt = p_run.attempt + 1, due = v_due, claimed_at = null,
      runner = null, token = null, started_at = null, failure = v_failure, infra_tries = p_run.infra_tries,
      app_tries = p_run.app_tries, site_tries = p_run.site_tries, interruptions = p_run.interruptions
    where a.id = p_run.id;
  perform rowlock.tell(p_run, v_due, 1, true);
  return 'pending';
end $$;
revoke all on function rowlock.settle from public;
