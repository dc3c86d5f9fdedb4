-- What the platform does to a run is not the run's failure: an attempt that never started, and one that an eviction, a
-- preemption or a lost node ended, uses no try of any class. Such a run waits longer each time and never ends as dead.
-- A loss without a cause (a killed container, a lapsed runner, no memory) may be the task's own doing, and keeps its
-- budget.

-- Attempts in a row that the platform kept from starting or ended.
alter table rowlock.active add column interruptions smallint not null default 0;
-- Those that somebody should hear of. In no start and no claim: only an interruption or a verdict changes the column.
create index active_interrupted on rowlock.active(queue_id) where interruptions > 2;

-- Whether a failure of class infra is a disruption, in Kubernetes' sense: something else than the run ended a healthy
-- pod.
create function rowlock.is_disruption(p_failure jsonb) returns bool language sql immutable
  set search_path = pg_catalog, pg_temp as $$
  select p_failure->>'class' = 'infra' and p_failure->>'reason' in (
    'Evicted', 'Preempted', 'Preempting', 'NodeLost', 'NodeShutdown', 'Shutdown', 'Terminated', 'Disrupted', 'PodDeleted',
    'JobSuspended', 'NodeAffinity', 'UnexpectedAdmissionError')
$$;

-- Seconds before a run that was interrupted so often in a row is tried again: by the backoff of class infra, however
-- often. A backoff of nothing would be a loop without an end: a second at least.
create function rowlock.interruption_delay(p_retry jsonb, p_n int) returns float8 language sql volatile
  set search_path = pg_catalog, pg_temp as $$
  select least(greatest(coalesce((b->>'max_backoff_seconds')::float8, 60), 1),
               greatest(coalesce((b->>'backoff_seconds')::float8, 1), 1) * 2.0 ^ least(p_n - 1, 30)) * (0.9 + 0.2 * random())
    from (select p_retry->'infra') x(b)
$$;

-- The verdict over a run that did not succeed (the row is locked by the caller): retried, or ended as dead, unknown or
-- canceled. Returns the new state. infra: the runner, the pod or the node went away; the task's own budgets stay as
-- they are.
create or replace function rowlock.settle(r rowlock.active, p_outcome text, p_failure jsonb) returns text language plpgsql
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

-- An attempt that never started and is not waited for any longer: the run goes back to the line, later, and uses no
-- try. Its number goes up, so that whatever is left of that attempt is refused by the start fence for good. Returns the
-- new state; no row: it has started meanwhile, or is no longer this attempt's. One run that cannot start gives way to
-- those that can. While others of its queue start, what keeps it is its own: it waits longer than it held its place
-- (p_first seconds, twice as long each time, p_longest at most) instead of class infra's backoff.
create function rowlock.postpone_v1(p_id uuid, p_attempt int, p_failure jsonb, p_first float8 default null, p_longest float8 default 900)
returns setof text language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare r rowlock.active; v_due timestamptz; v_delay float8;
begin
  select * into r from rowlock.active a where a.id = p_id and a.attempt = p_attempt and a.state = 'launching' for update;
  if not found then return; end if;
  if r.cancel is not null then
    perform rowlock.end_run(r, 'canceled', null, jsonb_build_object('reason', r.cancel));
    return next 'canceled'::text;
    return;
  end if;
  r.interruptions := least(r.interruptions + 1, 30000);
  v_delay := rowlock.interruption_delay((select retry from rowlock.queue where id = r.queue_id), r.interruptions);
  if p_first is not null then v_delay := greatest(v_delay, least(p_longest, p_first * 2.0 ^ least(r.interruptions - 1, 20))); end if;
  v_due := clock_timestamp() + make_interval(secs => v_delay);
  update rowlock.active a set state = 'pending', attempt = r.attempt + 1, due = v_due, claimed_at = null,
      interruptions = r.interruptions,
      failure = coalesce(p_failure, '{}') || jsonb_build_object('attempt', r.attempt, 'started', false,
        'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    where a.id = r.id;
  perform rowlock.tell(r, v_due, 1, true);
  return next 'pending'::text;
end $$;

-- A claim that is passed over waits so many seconds more, as the same attempt: its kube job was never made.
create function rowlock.pass_over_v1(p_ids uuid[], p_attempts int[], p_seconds float8) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare r rowlock.active; v_n int := 0; v_due timestamptz := clock_timestamp() + make_interval(secs => p_seconds);
begin
  for r in select a.* from rowlock.active a join unnest(p_ids, p_attempts) w(id, attempt) on a.id = w.id and a.attempt = w.attempt
            where a.state = 'launching' and a.cancel is null order by a.id for no key update of a loop
    update rowlock.active a set state = 'pending', due = v_due, claimed_at = null where a.id = r.id;
    perform rowlock.tell(r, v_due, 1, true);
    v_n := v_n + 1;
  end loop;
  return v_n;
end $$;

revoke all on function rowlock.is_disruption, rowlock.interruption_delay, rowlock.postpone_v1, rowlock.pass_over_v1 from public;
