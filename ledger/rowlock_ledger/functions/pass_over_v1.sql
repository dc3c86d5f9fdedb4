-- A claim that is passed over waits so many seconds more, as the same attempt: its kube job was never made.
create or replace function rowlock.pass_over_v1(p_ids uuid[], p_attempts int[], p_seconds float8) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_run rowlock.active; v_n int := 0; v_due timestamptz := clock_timestamp() + make_interval(secs => p_seconds);
begin
  for v_run in select a.* from rowlock.active a join unnest(p_ids, p_attempts) w(id, attempt) on a.id = w.id
    and a.attempt = w.attempt
            where a.state = 'launching' and a.cancel is null order by a.id for no key update of a loop
    update rowlock.active a set state = 'pending', due = v_due, claimed_at = null where a.id = v_run.id;
    perform rowlock.tell(v_run, v_due, 1, true);
    v_n := v_n + 1;
  end loop;
  return v_n;
end $$;
revoke all on function rowlock.pass_over_v1 from public;
