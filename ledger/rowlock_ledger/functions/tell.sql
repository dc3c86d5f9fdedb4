-- The event of runs that left the active states or became pending again.
create or replace function rowlock.tell(p_run rowlock.active, p_due timestamptz, p_n int, p_released bool) returns void
language sql as $$
  insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n, released)
    values (p_run.lane, p_run.queue_id, p_run.priority, p_run.fairness_key, p_run.limits, p_due, p_n, case
      when p_released
      and p_run.limits is not null then 1 else 0 end)
$$;
revoke all on function rowlock.tell from public;
