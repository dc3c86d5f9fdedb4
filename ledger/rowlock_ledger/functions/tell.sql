-- The event of runs that left the active states or became pending again.
create or replace function rowlock.tell(r rowlock.active, p_due timestamptz, p_n int, p_released bool) returns void
language sql as $$
  insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n, released)
    values (r.lane, r.queue_id, r.priority, r.fairness_key, r.limits, p_due, p_n, case when p_released
      and r.limits is not null then 1 else 0 end)
$$;
revoke all on function rowlock.tell from public;
