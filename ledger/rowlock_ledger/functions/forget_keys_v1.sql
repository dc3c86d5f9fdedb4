-- Forgets that keys were taken, at most p_max of them (p_keys null: all keys), and returns how many: their rows are
-- taken again where they are pending. A run of such a key that is under way is left alone; its row is taken again after
-- it. Keys taken after p_before (null: now) stay: what is forgotten is taken again between two calls, and must not be
-- forgotten once more.
create or replace function rowlock.forget_keys_v1(
    p_source text, p_keys text[] default null, p_before timestamptz default null, p_max int default 10000
) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_id int := rowlock.source_id(p_source); v_before timestamptz := coalesce(p_before, clock_timestamp()); v_n int;
begin
  if p_keys is null then
    delete from rowlock.seen n using (select key from rowlock.seen where source_id = v_id and taken_at <= v_before
      limit p_max) x
     where n.source_id = v_id and n.key = x.key and n.taken_at <= v_before;
  else
    delete from rowlock.seen n
     where n.source_id = v_id and n.taken_at <= v_before
       and n.key in (select s.key from rowlock.seen s where s.source_id = v_id and s.key = any(p_keys)
         and s.taken_at <= v_before limit p_max);
  end if;
  get diagnostics v_n = row_count;
  if v_n > 0 then update rowlock.source set forgets = forgets + 1 where id = v_id; end if;
  return v_n;
end $$;
revoke all on function rowlock.forget_keys_v1 from public;
grant execute on function rowlock.forget_keys_v1 to rowlock_client;
