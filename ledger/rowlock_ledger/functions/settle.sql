-- The verdict over a run that did not succeed (the row is locked by the caller): retried, or ended as dead, unknown or
-- canceled. Returns the new state. infra: the runner, the pod or the node went away; the task's own budgets stay as
-- they are.
-- A run that had begun an effect when its runner was lost ends as unknown, also where somebody had asked to cancel it:
-- canceled would say that nothing happened.
-- What the platform does to a run is not the run's failure: an attempt that never started, and one that an eviction, a
-- preemption or a lost node ended, uses no try of any class. Such a run waits longer each time and never ends as dead.
-- A loss without a cause (a killed container, a lapsed runner, no memory) may be the task's own doing, and keeps its
-- budget.
create or replace function rowlock.settle(r rowlock.active, p_outcome text, p_failure jsonb) returns text
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  v_class text := coalesce(p_failure->>'class', 'app'); v_delay float8; v_due timestamptz; v_tries int; v_failure jsonb;
  v_final bool := v_class = 'input' or coalesce((p_failure->>'permanent')::bool, false);
  v_retry jsonb := (select retry from rowlock.queue where id = r.queue_id);
begin
  v_failure := coalesce(p_failure, '{}') || jsonb_build_object('class', v_class, 'attempt', r.attempt,
    'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
  if p_outcome = 'unknown' or r.effect is not null then
    perform rowlock.end_run(r, 'unknown', null, v_failure || jsonb_build_object('effect', r.effect));
    return 'unknown';
  end if;
  if p_outcome = 'canceled' or r.cancel is not null then
    perform rowlock.end_run(r, 'canceled', null,
      v_failure || jsonb_build_object('reason', coalesce(r.cancel, v_failure->>'reason', 'Canceled')));
    return 'canceled';
  end if;
  if not v_final and coalesce(rowlock.is_disruption(p_failure), false) then
    r.interruptions := least(r.interruptions + 1, 30000);
    v_delay := rowlock.interruption_delay(v_retry, r.interruptions);
  else
    r.interruptions := 0;
    v_tries := case v_class when 'infra' then r.infra_tries when 'site' then r.site_tries else r.app_tries end + 1;
    if not v_final then v_delay := rowlock.retry_delay(v_retry, v_class, v_tries); end if;
    r.infra_tries := r.infra_tries + (v_class = 'infra')::int;
    r.site_tries := r.site_tries + (v_class = 'site')::int;
    r.app_tries := r.app_tries + (v_class not in ('infra', 'site', 'input'))::int;
  end if;
  if v_delay is null then
    perform rowlock.end_run(r, 'dead', null, v_failure);
    return 'dead';
  end if;
  v_delay := greatest(coalesce((p_failure->>'after_seconds')::float8, v_delay), 0);
  v_due := clock_timestamp() + make_interval(secs => v_delay);
  update rowlock.active a set state = 'pending', attempt = r.attempt + 1, due = v_due, claimed_at = null, runner = null,
      token = null, started_at = null, failure = v_failure, infra_tries = r.infra_tries, app_tries = r.app_tries,
      site_tries = r.site_tries, interruptions = r.interruptions
    where a.id = r.id;
  perform rowlock.tell(r, v_due, 1, true);
  return 'pending';
end $$;
revoke all on function rowlock.settle from public;
