-- Runs of lapsed runners, by the verdict for class infra. p_slow looks at every running run whose runner is gone (a
-- start that raced with a sweep). A sweep goes on: a run whose verdict cannot be reckoned is set aside, and all others
-- are taken back.
create or replace function rowlock.sweep_v1(p_max int default 1000, p_slow bool default false) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_runners bigint[]; v_n int;
begin
  update rowlock.runner set dead = true where lease_until < clock_timestamp() and not dead;
  select array_agg(id) into v_runners from rowlock.runner where dead;
  if v_runners is null and not p_slow then return 0; end if;
  begin
    v_n := rowlock.take_back(v_runners, p_max, p_slow, false);
  exception when others then
    if not rowlock.is_indigestible(sqlstate) then raise; end if;
    v_n := rowlock.take_back(v_runners, p_max, p_slow, true);
  end;
  if v_n < p_max and v_runners is not null then
    delete from rowlock.cancel_note where runner = any(v_runners);
    delete from rowlock.runner where id = any(v_runners) and dead;
  end if;
  return v_n;
end $$;
revoke all on function rowlock.sweep_v1 from public;
