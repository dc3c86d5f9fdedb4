-- The claims of all queues that have a due lane. `p_careful`: after one of them failed. Only then has each an exception
-- block of its own: a transaction with more than 64 subtransactions that write makes everybody else's visibility checks
-- slow.
create or replace function rowlock.claim_each(
    p_queues int[], p_ns int[], p_careful bool
) returns table(queue_id int, id uuid, attempt int)
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare i int; v_state text; v_suspended bool;
begin
  for i in 1 .. coalesce(array_length(p_queues, 1), 0) loop
    if p_ns[i] > 0 and exists (select from rowlock.lane l
                                where l.queue_id = p_queues[i] and l.blocked_by is null and l.at <= clock_timestamp())
                                  then
      select case q.mode when 'Jobs' then 'launching' else 'queued' end, q.suspended into v_state, v_suspended
        from rowlock.queue q where q.id = p_queues[i];
      if coalesce(v_suspended, true) then continue; end if;
      if p_careful then
        return query select p_queues[i], c.id, c.attempt from rowlock.claim_carefully(p_queues[i], p_ns[i], v_state) c;
      else
        return query select p_queues[i], c.id, c.attempt from rowlock.claim(p_queues[i], p_ns[i], v_state) c;
      end if;
    end if;
  end loop;
end $$;
revoke all on function rowlock.claim_each from public;
