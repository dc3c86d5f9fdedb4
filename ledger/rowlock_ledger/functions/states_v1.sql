-- What the ledger says of these runs: for a worker whose start was refused, so that what it tells RQ is true. A run
-- that is not there is not known (any more).
create or replace function rowlock.states_v1(p_ids uuid[]) returns table(id uuid, attempt int, state text)
language plpgsql stable security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  select a.id, a.attempt, a.state from rowlock.active a where a.id = any(p_ids)
   union all
  select d.id, d.attempt, d.state from rowlock.done d where d.id = any(p_ids);
end $$;
revoke all on function rowlock.states_v1 from public;
grant execute on function rowlock.states_v1 to rowlock_worker;
