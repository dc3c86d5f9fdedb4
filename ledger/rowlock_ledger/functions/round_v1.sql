-- One call and one commit a round: takes events in, then claims for each queue that has a due lane. The last row
-- carries the floor for the next call (kept in memory by the caller; '0' at start and every few seconds). No row at
-- all: somebody else is the claimer now.
-- Each step is a statement with its own snapshot (READ COMMITTED): in a single statement a lane row would be re-read
-- after a lock wait but its runs would not, and a run committed in between would sleep for ever.
-- A round goes on: what it cannot digest is halved until it stands alone, and is set aside. The quick way is tried
-- first; the careful one only after it failed.
create or replace function rowlock.round_v1(
    p_queues int[], p_ns int[], p_floor xid8 default '0'
) returns table(queue_id int, id uuid, attempt int, floor xid8)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_floor xid8 := pg_snapshot_xmin(pg_current_snapshot()); v_due int[]; v_n int; v_moved bool := false;
  v_queues int[]; v_ids uuid[]; v_attempts int[];
begin
  if not rowlock.claimer_lock() then return; end if;
  begin
    v_n := rowlock.fold(10000, p_floor);
    if v_n >= 10000 then v_floor := p_floor; end if;
    v_moved := v_n > 0;
  exception when others then
    if not rowlock.is_indigestible(sqlstate) then raise; end if;
    perform rowlock.fold_carefully(10000, p_floor);
    v_floor := p_floor;
  end;
  if exists (select from rowlock.bucket where wake_at <= clock_timestamp()) then
    v_due := array(select bb.id from rowlock.bucket bb where bb.wake_at <= clock_timestamp() order by bb.wake_at
      limit 200);
    begin
      perform rowlock.wake_lanes(v_due);
    exception when others then
      if not rowlock.is_indigestible(sqlstate) then raise; end if;
      perform rowlock.wake_lanes_carefully(v_due);
    end;
  end if;
  begin
    select array_agg(c.queue_id), array_agg(c.id), array_agg(c.attempt) into v_queues, v_ids, v_attempts
      from rowlock.claim_each(p_queues, p_ns, false) c;
  exception when others then
    if not rowlock.is_indigestible(sqlstate) then raise; end if;
    select array_agg(c.queue_id), array_agg(c.id), array_agg(c.attempt) into v_queues, v_ids, v_attempts
      from rowlock.claim_each(p_queues, p_ns, true) c;
  end;
  v_moved := v_moved or v_ids is not null;
  if v_moved then perform rowlock.note_clock(); end if;
  return query select u.q, u.run, u.n, null::xid8 from unnest(v_queues, v_ids, v_attempts) u(q, run, n);
  return query select null::int, null::uuid, null::int, v_floor;
end $$;
revoke all on function rowlock.round_v1 from public;
