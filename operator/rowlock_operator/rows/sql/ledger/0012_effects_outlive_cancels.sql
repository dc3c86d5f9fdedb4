-- A run that had begun an effect when its runner was lost ends as unknown, also where somebody had asked to cancel it:
-- canceled would say that nothing happened.
create or replace function rowlock.settle(r rowlock.active, p_outcome text, p_failure jsonb) returns text language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_class text := coalesce(p_failure->>'class', 'app'); v_delay float8; v_due timestamptz; v_tries int; v_failure jsonb;
begin
  v_failure := coalesce(p_failure, '{}') || jsonb_build_object('class', v_class, 'attempt', r.attempt, 'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
  if p_outcome = 'unknown' or r.effect is not null then
    perform rowlock.end_run(r, 'unknown', null, v_failure || jsonb_build_object('effect', r.effect));
    return 'unknown';
  end if;
  if p_outcome = 'canceled' or r.cancel is not null then
    perform rowlock.end_run(r, 'canceled', null, v_failure || jsonb_build_object('reason', coalesce(r.cancel, v_failure->>'reason', 'Canceled')));
    return 'canceled';
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
