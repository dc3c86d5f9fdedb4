-- Takes the first event away, alone with those of the same line and limits, and sets aside the runs they tell of.
create or replace function rowlock.set_event_aside(p_floor xid8, p_why text) returns void
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_event rowlock.inbox; v_id uuid; v_all int := 0; v_left bool := false;
begin
  delete from rowlock.inbox where ctid = any(array(select ctid from rowlock.inbox where x >= p_floor order by x limit 1
    for update skip locked)) returning * into v_event;
  if v_event.lane is null then return; end if;
  delete from rowlock.inbox i where i.x >= p_floor and i.lane = v_event.lane
      and i.limits is not distinct from v_event.limits;
  for v_id in
    select a.id from rowlock.active a
     where a.lane = v_event.lane and a.due is not null and a.limits is not distinct from v_event.limits
     order by a.due limit 1000
  loop
    v_left := not rowlock.set_aside(v_id, 'RunRefused',
      format('The claimer cannot take this run in: %s. Enqueue it anew without what is named here.', rtrim(p_why, '.')))
      or v_left;
    v_all := v_all + 1;
  end loop;
  -- What their end told of themselves would be met again; what is left of them is told anew.
  delete from rowlock.inbox i where i.x = pg_current_xact_id() and i.lane = v_event.lane
      and i.limits is not distinct from v_event.limits;
  if v_left or v_all = 1000 then
    insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due)
      values (v_event.lane, v_event.queue_id, v_event.priority, v_event.fairness_key, v_event.limits,
        coalesce(v_event.due, clock_timestamp()));
  end if;
end $$;
revoke all on function rowlock.set_event_aside from public;
