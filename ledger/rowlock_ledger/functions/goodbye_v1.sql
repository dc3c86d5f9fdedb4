-- An orderly end of a runner: what it still holds is retried at once as class infra.
create or replace function rowlock.goodbye_v1(p_runner bigint) returns void
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  if p_runner > 0 then
    update rowlock.runner set dead = true, lease_until = '-infinity' where id = p_runner;
    perform rowlock.sweep_v1();
  end if;
end $$;
revoke all on function rowlock.goodbye_v1 from public;
grant execute on function rowlock.goodbye_v1 to rowlock_worker;
