-- An attempt that never started and is not waited for any longer: the run goes back to the line, later, and uses no
-- try. Its number goes up, so that whatever is left of that attempt is refused by the start fence for good. Returns the
-- new state; no row: it has started meanwhile, or is no longer this attempt's. One run that cannot start gives way to
-- those that can. While others of its queue start, what keeps it is its own: it waits longer than it held its place
-- (p_first seconds, twice as long each time, p_longest at most) instead of class infra's backoff.
create or replace function rowlock.postpone_v1(
    p_id uuid, p_attempt int, p_failure jsonb, p_first float8 default null, p_longest float8 default 900
) returns setof text
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_run rowlock.active; v_due timestamptz; v_delay float8;
begin
  select * into v_run from rowlock.active a where a.id = p_id and a.attempt = p_attempt and a.state = 'launching'
    for update;
  if not found then return; end if;
  if v_run.cancel is not null then
    perform rowlock.end_run(v_run, 'canceled', null, jsonb_build_object('reason', v_run.cancel));
    return next 'canceled'::text;
    return;
  end if;
  v_run.interruptions := least(v_run.interruptions + 1, 30000);
  v_delay := rowlock.interruption_delay((select retry from rowlock.queue where id = v_run.queue_id),
    v_run.interruptions);
  if p_first is not null then v_delay := greatest(v_delay,
    least(p_longest, p_first * 2.0 ^ least(v_run.interruptions - 1, 20))); end if;
  v_due := clock_timestamp() + make_interval(secs => v_delay);
  update rowlock.active a set state = 'pending', attempt = v_run.attempt + 1, due = v_due, claimed_at = null,
      interruptions = v_run.interruptions,
      failure = coalesce(p_failure, '{}') || jsonb_build_object('attempt', v_run.attempt, 'started', false,
        'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    where a.id = v_run.id;
  perform rowlock.tell(v_run, v_due, 1, true);
  return next 'pending'::text;
end $$;
revoke all on function rowlock.postpone_v1 from public;
