-- Before an outside effect that must never be repeated. False: stale, do not act.
create or replace function rowlock.begin_effect_v1(p_id uuid, p_attempt int, p_token uuid, p_effect text) returns bool
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  update rowlock.active set effect = left(coalesce(p_effect, 'effect'), 200)
    where id = p_id and attempt = p_attempt and token = p_token and state = 'running' and cancel is null
      and exists (select from rowlock.runner x where x.id = runner and not x.dead
        and x.lease_until > clock_timestamp());
  return found;
end $$;
revoke all on function rowlock.begin_effect_v1 from public;
grant execute on function rowlock.begin_effect_v1 to rowlock_worker;
