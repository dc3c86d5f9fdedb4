-- These cannot be written now: others pass them, and each is tried again at its time (seconds, doubled with every try).
-- p_quiet tries are not spoken of.
create or replace function rowlock.outbox_hold_v1(
    p_ids bigint[], p_why text, p_first float8, p_longest float8, p_quiet int
) returns void
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  update rowlock.outbox set tries = tries + 1, why = case when tries >= p_quiet then left(p_why, 500) end,
      next_try = clock_timestamp() + make_interval(secs => least(p_longest, p_first * 2.0 ^ least(tries, 30)))
    where id = any(p_ids);
end $$;
revoke all on function rowlock.outbox_hold_v1 from public;
