-- Finish of the previous runs and start of the next in one call and one commit (1.8 times the runs a second of two
-- calls, one client).
create or replace function rowlock.cycle_v1(
    f_ids uuid[], f_attempts int[], p_token uuid, f_outcomes text[], f_results jsonb[], f_failures jsonb[],
    s_ids uuid[], s_attempts int[], p_runner bigint
) returns table(kind text, id uuid, attempt int, state text, task text, args jsonb, queue text, source_key text,
  tries int)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query select 'f'::text, f.id, null::int, f.state, null::text, null::jsonb, null::text, null::text, null::int
    from rowlock.finish_v1(f_ids, f_attempts, p_token, f_outcomes, f_results, f_failures) f;
  return query select 's'::text, s.id, s.attempt, 'running'::text, s.task, s.args, s.queue, s.source_key, s.tries
    from rowlock.start_v1(s_ids, s_attempts, p_runner, p_token) s;
end $$;
revoke all on function rowlock.cycle_v1 from public;
grant execute on function rowlock.cycle_v1 to rowlock_worker;
