-- One row per runner, whatever number of runs it holds. alive = false: stop everything you hold; your runs are or will
-- be somebody else's.
create or replace function rowlock.renew_v1(
    p_runner bigint, p_lease_seconds float8 default 10, p_ids uuid[] default '{}', p_progress jsonb[] default '{}'
) returns table(alive bool, cancel uuid[])
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_seconds float8 := least(3600, greatest(1, p_lease_seconds));
begin
  update rowlock.runner set lease_until = clock_timestamp() + make_interval(secs => v_seconds),
    lease_seconds = v_seconds where id = p_runner and not dead and id > 0;
  if not found then return query select false, '{}'::uuid[]; return; end if;
  if array_length(p_ids, 1) > 0 then
    update rowlock.active a set progress = w.progress from unnest(p_ids, p_progress) w(id, progress) where a.id = w.id
      and a.runner = p_runner and a.state = 'running';
  end if;
  return query select true, array(select c.id from rowlock.cancel_note c where c.runner = p_runner);
end $$;
revoke all on function rowlock.renew_v1 from public;
grant execute on function rowlock.renew_v1 to rowlock_worker;
