-- The net under the hints: wakes lanes that sleep although a run is due, that look too late, or whose floor is too high
-- (a run was skipped because somebody held it). It makes inbox, floors and wake-ups things whose loss costs seconds,
-- not runs. A loose index scan over active(lane, due).
create or replace function rowlock.relane_v1() returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_n int; v_now timestamptz := clock_timestamp();
begin
  if not rowlock.claimer_lock() then return 0; end if;
  perform rowlock.mend_clock();
  update rowlock.lane l set blocked_by = null, at = v_now where l.blocked_by is not null
    and not exists (select from rowlock.bucket b where b.id = l.blocked_by);
  perform rowlock.wake_lanes_carefully(array(select id from rowlock.bucket where has_waiters
    and running < coalesce(max_running, running + 1)));
  with recursive first as (
    (select lane, due from rowlock.active where due is not null order by lane, due limit 1)
    union all
    select n.lane, n.due from first, lateral (select lane, due from rowlock.active where due is not null
      and lane > first.lane order by lane, due limit 1) n),
  lines as materialized (
    select f.lane, f.due, l.id, l.floor, l.at, l.blocked_by from first f left join rowlock.lane l on l.id = f.lane),
  wrong as (
    select x.id, x.due, true as told from lines x where x.floor > x.due
      or (x.id is not null and x.blocked_by is null and (x.at is null or x.at > greatest(x.due, v_now)))),
  -- Floors that lie far below the first run are raised, so that they say how long a line waits (depth_v1). An event
  -- that comes later lowers them again.
  low as (
    select x.id, x.due, false from lines x
     where (x.blocked_by is not null or x.at <= v_now) and x.floor < greatest(least(x.due, v_now),
       '2000-01-01 00:00+00') - interval '5 s' limit 500),
  mended as (
    update rowlock.lane l set floor = w.due, at = case when l.blocked_by is not null then l.at
      else least(l.at, greatest(w.due, v_now)) end
      from (select * from wrong union all select * from low) w where l.id = w.id returning w.told),
  -- A run whose event was lost before its line was there.
  untold as (
    insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n)
      select a.lane, a.queue_id, a.priority, a.fairness_key, a.limits, a.due,
        (select count(*) from rowlock.active y where y.lane = x.lane and y.due is not null)
        from (select x.lane from lines x where x.id is null
                 and (select count(*) from (select from rowlock.inbox limit 1000) i) < 1000
                   and not exists (select from rowlock.inbox i where i.lane = x.lane) limit 100) x,
             lateral (select * from rowlock.active a where a.lane = x.lane and a.due is not null order by a.due
               limit 1) a)
  select count(*)::int into v_n from mended where told;
  -- A line that sleeps and has neither a run nor an event holds nothing, whatever its counter says.
  update rowlock.lane l set pending = 0
   where l.pending <> 0 and l.at is null and l.blocked_by is null
     and not exists (select from rowlock.active a where a.lane = l.id and a.due is not null)
     and (select count(*) from (select from rowlock.inbox limit 1000) x) < 1000
       and not exists (select from rowlock.inbox i where i.lane = l.id);
  return v_n;
end $$;
revoke all on function rowlock.relane_v1 from public;
