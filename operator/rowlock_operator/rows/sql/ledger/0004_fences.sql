-- The fences: who may start, whose outcome counts. The token is a runner process's own; the attempt is the fencing
-- number.

-- The event of runs that left the active states or became pending again.
create function rowlock.tell(r rowlock.active, p_due timestamptz, p_n int, p_released bool) returns void language sql as $$
  insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n, released)
    values (r.lane, r.queue_id, r.priority, r.fairness_key, r.limits, p_due, p_n, case when p_released and r.limits is not null then 1 else 0 end)
$$;

-- Ends one run (the row is locked by the caller): history, event, the user's status column.
create function rowlock.end_run(r rowlock.active, p_state text, p_result jsonb, p_failure jsonb) returns void language plpgsql as $$
begin
  delete from rowlock.active where id = r.id;
  if r.cancel is not null then delete from rowlock.cancel_note where runner = r.runner and id = r.id; end if;
  insert into rowlock.done(id, queue_id, attempt, source_id, source_key, state, priority, fairness_key, limits, write_back, task, args, infra_tries, app_tries, site_tries,
                           effect, progress, started_at, created_at, result, failure)
    values (r.id, r.queue_id, r.attempt, r.source_id, r.source_key, p_state, r.priority, r.fairness_key, r.limits, r.write_back, r.task, r.args, r.infra_tries, r.app_tries, r.site_tries,
            r.effect, r.progress, r.started_at, r.created_at, p_result, p_failure);
  if r.due is not null then perform rowlock.tell(r, null, -1, false);
  elsif r.limits is not null then perform rowlock.tell(r, null, 0, true);
  end if;
  if r.write_back then
    insert into rowlock.outbox(source_id, source_key, state, error)
      values (r.source_id, r.source_key, p_state, case when p_state <> 'succeeded' then left(coalesce(p_failure->>'message', p_failure->>'reason', p_state), 2000) end);
  end if;
end $$;

-- Seconds before the next try, or null where the class has no budget left. Tries counts the failures of this class so
-- far, this one included.
create function rowlock.retry_delay(p_retry jsonb, p_class text, p_tries int) returns float8 language sql volatile as $$
  select case when p_tries <= coalesce((b->>'limit')::int, d.lim)
              then least(coalesce((b->>'max_backoff_seconds')::float8, d.top), coalesce((b->>'backoff_seconds')::float8, d.first) * 2.0 ^ least(p_tries - 1, 30)) * (0.9 + 0.2 * random()) end
    from (values ('infra', 5, 1.0, 60.0), ('app', 3, 10.0, 600.0), ('site', 5, 60.0, 3600.0)) d(class, lim, first, top), lateral (select p_retry->p_class) x(b)
   where d.class = p_class
$$;

-- The verdict over a run that did not succeed (the row is locked by the caller): retried, or ended as dead, unknown or
-- canceled. Returns the new state. infra: the runner, the pod or the node went away; the task's own budgets stay as
-- they are.
create function rowlock.settle(r rowlock.active, p_outcome text, p_failure jsonb) returns text language plpgsql as $$
declare v_class text := coalesce(p_failure->>'class', 'app'); v_delay float8; v_due timestamptz; v_tries int; v_failure jsonb;
begin
  v_failure := coalesce(p_failure, '{}') || jsonb_build_object('class', v_class, 'attempt', r.attempt, 'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
  if p_outcome = 'canceled' or r.cancel is not null then
    perform rowlock.end_run(r, 'canceled', null, v_failure || jsonb_build_object('reason', coalesce(r.cancel, v_failure->>'reason', 'Canceled')));
    return 'canceled';
  end if;
  if p_outcome = 'unknown' or r.effect is not null then
    perform rowlock.end_run(r, 'unknown', null, v_failure || jsonb_build_object('effect', r.effect));
    return 'unknown';
  end if;
  v_tries := case v_class when 'infra' then r.infra_tries when 'site' then r.site_tries else r.app_tries end + 1;
  if v_class <> 'input' and not coalesce((p_failure->>'permanent')::bool, false) then
    v_delay := rowlock.retry_delay((select retry from rowlock.queue where id = r.queue_id), v_class, v_tries);
    if v_delay is not null then v_delay := greatest(coalesce((p_failure->>'after_seconds')::float8, v_delay), 0); end if;
  end if;
  r.infra_tries := r.infra_tries + (v_class = 'infra')::int;
  r.site_tries := r.site_tries + (v_class = 'site')::int;
  r.app_tries := r.app_tries + (v_class not in ('infra', 'site', 'input'))::int;
  if v_delay is null then
    perform rowlock.end_run(r, 'dead', null, v_failure);
    return 'dead';
  end if;
  v_due := clock_timestamp() + make_interval(secs => v_delay);
  update rowlock.active a set state = 'pending', attempt = r.attempt + 1, due = v_due, claimed_at = null, runner = null, token = null, started_at = null,
      failure = v_failure, infra_tries = r.infra_tries, app_tries = r.app_tries, site_tries = r.site_tries
    where a.id = r.id;
  perform rowlock.tell(r, v_due, 1, true);
  return 'pending';
end $$;

create function rowlock.hello_v1(p_name text, p_lease_seconds float8 default 10) returns bigint
language sql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
  insert into rowlock.runner(name, lease_until) values (left(p_name, 200), clock_timestamp() + make_interval(secs => p_lease_seconds)) returning id
$$;

-- One row per runner, whatever number of runs it holds. alive = false: stop everything you hold; your runs are or will
-- be somebody else's.
create function rowlock.renew_v1(p_runner bigint, p_lease_seconds float8 default 10, p_ids uuid[] default '{}', p_progress jsonb[] default '{}')
returns table(alive bool, cancel uuid[]) language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  update rowlock.runner set lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds) where id = p_runner and not dead and id > 0;
  if not found then return query select false, '{}'::uuid[]; return; end if;
  if array_length(p_ids, 1) > 0 then
    update rowlock.active a set progress = w.progress from unnest(p_ids, p_progress) w(id, progress) where a.id = w.id and a.runner = p_runner and a.state = 'running';
  end if;
  return query select true, array(select c.id from rowlock.cancel_note c where c.runner = p_runner);
end $$;

-- START FENCE. Only a claimed run of this very attempt, only for a living runner, only once.
create function rowlock.start_v1(p_ids uuid[], p_attempts int[], p_runner bigint, p_token uuid)
returns table(id uuid, attempt int, task text, args jsonb, queue text, source_key text, tries int)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  if not exists (select from rowlock.runner x where x.id = p_runner and not x.dead) then return; end if;
  return query
  with begun as (
    update rowlock.active r set state = 'running', runner = p_runner, token = p_token, started_at = clock_timestamp()
      from unnest(p_ids, p_attempts) w(id, attempt)
     where r.id = w.id and r.attempt = w.attempt and r.state in ('queued', 'launching')
    returning r.id, r.attempt, r.task, r.args, r.queue_id, r.source_key, r.app_tries::int + r.site_tries as tries)
  select b.id, b.attempt, b.task, coalesce(b.args, (select p.args from rowlock.payload p where p.id = b.id)), (select q.name from rowlock.queue q where q.id = b.queue_id), b.source_key, b.tries
    from begun b;
end $$;

-- FINISH FENCE. An id that does not come back was stale: lapsed and given to another runner, canceled, or finished
-- before.
create function rowlock.finish_v1(p_ids uuid[], p_attempts int[], p_token uuid, p_outcomes text[], p_results jsonb[], p_failures jsonb[])
returns table(id uuid, state text) language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
#variable_conflict use_column
declare r rowlock.active; i int;
begin
  return query
  with w as (select * from unnest(p_ids, p_attempts, p_outcomes, p_results) as w(id, attempt, outcome, result) where w.outcome = 'succeeded'),
  gone as (
    delete from rowlock.active a using w where a.id = w.id and a.attempt = w.attempt and a.token = p_token and a.state = 'running' returning a.*, w.result),
  history as (
    insert into rowlock.done(id, queue_id, attempt, source_id, source_key, state, priority, fairness_key, limits, write_back, task, args, infra_tries, app_tries, site_tries,
                             effect, progress, started_at, created_at, result)
      select g.id, g.queue_id, g.attempt, g.source_id, g.source_key, 'succeeded', g.priority, g.fairness_key, g.limits, g.write_back, g.task, g.args, g.infra_tries, g.app_tries, g.site_tries,
             null, g.progress, g.started_at, g.created_at, g.result from gone g),
  event as (
    insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, released)
      select g.lane, min(g.queue_id), min(g.priority), min(g.fairness_key), max(g.limits), count(*) from gone g where g.limits is not null group by g.lane),
  notes as (
    delete from rowlock.cancel_note c using gone g where g.cancel is not null and c.runner = g.runner and c.id = g.id),
  status as (
    insert into rowlock.outbox(source_id, source_key, state) select g.source_id, g.source_key, 'succeeded' from gone g where g.write_back)
  select g.id, 'succeeded'::text from gone g;
  for i in 1 .. coalesce(array_length(p_ids, 1), 0) loop
    if p_outcomes[i] <> 'succeeded' then
      if p_outcomes[i] not in ('failed', 'canceled', 'unknown') then
        raise exception 'outcome "%" is not one of succeeded, failed, canceled, unknown', p_outcomes[i] using errcode = 'RW002';
      end if;
      select * into r from rowlock.active a where a.id = p_ids[i] and a.attempt = p_attempts[i] and a.token = p_token and a.state = 'running' for update;
      if found then
        id := p_ids[i];
        state := rowlock.settle(r, p_outcomes[i], p_failures[i]);
        return next;
      end if;
    end if;
  end loop;
end $$;

-- Finish of the previous runs and start of the next in one call and one commit (1.8 times the runs a second of two
-- calls, one client).
create function rowlock.cycle_v1(f_ids uuid[], f_attempts int[], p_token uuid, f_outcomes text[], f_results jsonb[], f_failures jsonb[],
    s_ids uuid[], s_attempts int[], p_runner bigint)
returns table(kind text, id uuid, attempt int, state text, task text, args jsonb, queue text, source_key text, tries int)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query select 'f'::text, f.id, null::int, f.state, null::text, null::jsonb, null::text, null::text, null::int
    from rowlock.finish_v1(f_ids, f_attempts, p_token, f_outcomes, f_results, f_failures) f;
  return query select 's'::text, s.id, s.attempt, 'running'::text, s.task, s.args, s.queue, s.source_key, s.tries
    from rowlock.start_v1(s_ids, s_attempts, p_runner, p_token) s;
end $$;

-- Before an outside effect that must never be repeated. False: stale, do not act.
create function rowlock.begin_effect_v1(p_id uuid, p_attempt int, p_token uuid, p_effect text) returns bool
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  update rowlock.active set effect = left(coalesce(p_effect, 'effect'), 200)
    where id = p_id and attempt = p_attempt and token = p_token and state = 'running' and cancel is null
      and exists (select from rowlock.runner x where x.id = runner and not x.dead and x.lease_until > clock_timestamp());
  return found;
end $$;

-- The effect is known to have happened and is recorded: the run may be retried again without doing it twice, its task
-- looks at progress.
create function rowlock.end_effect_v1(p_id uuid, p_attempt int, p_token uuid, p_result jsonb) returns bool
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  update rowlock.active set effect = null, progress = coalesce(progress, '{}') || jsonb_build_object('effect', p_result)
    where id = p_id and attempt = p_attempt and token = p_token and state = 'running';
  return found;
end $$;
