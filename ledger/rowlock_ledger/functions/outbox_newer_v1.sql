-- Of these rows those whose mark may be another's by now: `active` = of another run, or a later attempt; else a newer
-- outcome has come. To be asked once the rows are locked, in a statement of its own: a claim marks and inserts in one
-- transaction, so either it is seen here or the row was not ours to lock.
create or replace function rowlock.outbox_newer_v1(
    p_source int, p_keys text[], p_runs uuid[], p_attempts int[], p_last bigint[]
) returns table(source_key text, active bool)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  select n.key, n.active from (
    select k.key, exists (select from rowlock.active a where a.source_id = p_source and a.source_key = k.key
      and (a.id <> k.run or a.attempt > k.attempt)) as active,
           exists (select from rowlock.outbox o where o.source_id = p_source and md5(o.source_key) = md5(k.key)
             and o.source_key = k.key and o.id > k.last) as newer
      from unnest(p_keys, p_runs, p_attempts, p_last) k(key, run, attempt, last)) n
   where n.active or n.newer;
end $$;
revoke all on function rowlock.outbox_newer_v1 from public;
