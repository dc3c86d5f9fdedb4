-- Removes the rules whose names begin with p_prefix and are not in p_keep; returns how many. Their buckets go on
-- counting and limit nothing.
create or replace function rowlock.drop_limits_v1(p_prefix text, p_keep text[]) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set lock_timeout = '5s' set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_name text; v_gone text[];
begin
  if coalesce(p_prefix, '') = '' then
    raise exception 'which limits? The prefix is empty' using errcode = 'RW002',
      hint = 'The rules of a source begin with its id and a dot.';
  end if;
  v_gone := array(select l.name from rowlock.limit_rule l where starts_with(l.name, p_prefix)
    and l.name <> all(coalesce(p_keep, '{}')) order by 1);
  if v_gone = '{}' then return 0; end if;
  delete from rowlock.limit_rule l where l.name = any(v_gone);
  perform pg_advisory_xact_lock(7700, 1);
  foreach v_name in array v_gone loop
    perform rowlock.free_waiters(v_name);
  end loop;
  return cardinality(v_gone);
end $$;
revoke all on function rowlock.drop_limits_v1 from public;
