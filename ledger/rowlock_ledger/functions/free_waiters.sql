-- What waits for buckets of a rule that limits nothing is looked at again at once, all of it. The caller is the
-- claimer.
create or replace function rowlock.free_waiters(p_rule text) returns void
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_buckets int[];
begin
  with freed as (
    update rowlock.bucket b set max_running = null, rate = null, burst = null, has_waiters = false, wake_at = null
      where md5(b.rule) = md5(p_rule) and b.rule = p_rule returning b.id)
  select array_agg(id) into v_buckets from freed;
  update rowlock.lane l set blocked_by = null, at = clock_timestamp() where l.blocked_by = any(v_buckets);
end $$;
revoke all on function rowlock.free_waiters from public;
