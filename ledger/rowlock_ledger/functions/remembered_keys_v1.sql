-- How many keys of a source without a status column are remembered as taken; null = of all keys.
create or replace function rowlock.remembered_keys_v1(
    p_source text, p_keys text[] default null
) returns table(source_table text, has_status_column bool, remembered bigint)
language plpgsql stable security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_id int := rowlock.source_id(p_source);
begin
  return query
    select coalesce(s.relation, s.spec->>'table'), coalesce(s.spec->'plan'->>'status_column', '') <> '',
           case when p_keys is null then (select count(*) from rowlock.seen n where n.source_id = v_id)
                else (select count(*) from rowlock.seen n where n.source_id = v_id and n.key = any(p_keys)) end
      from rowlock.source s where s.id = v_id;
end $$;
revoke all on function rowlock.remembered_keys_v1 from public;
grant execute on function rowlock.remembered_keys_v1 to rowlock_client;
