-- The oldest outcomes of one source that were not tried yet (p_again: those that were and are due), and with each all
-- others of the same row, in order. The caller keeps the first ones locked.
create or replace function rowlock.outbox_take_v1(
    p_source int, p_max int, p_again bool
) returns table(id bigint, source_key text, state text, error text, run uuid, attempt int)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  with head as materialized (
    select o.source_key from rowlock.outbox o
     where o.source_id = p_source and case when p_again then o.next_try <= clock_timestamp() else o.next_try is null end
     order by o.id limit p_max for update skip locked)
  select o.id, o.source_key, o.state, o.error, o.run, o.attempt
    from (select distinct h.source_key from head h) k join rowlock.outbox o
      on o.source_id = p_source and md5(o.source_key) = md5(k.source_key) and o.source_key = k.source_key order by o.id;
end $$;
revoke all on function rowlock.outbox_take_v1 from public;
