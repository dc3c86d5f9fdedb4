-- A round goes on: what it cannot digest is halved until it stands alone, and is set aside. The quick way is tried
-- first; the careful one only after it failed.

-- Data that nobody can digest, against a server that cannot serve at the moment: only the first is anybody's fault who
-- could be set aside.
create function rowlock.is_indigestible(p_sqlstate text) returns bool language sql immutable set search_path = pg_catalog as $$
  select left(p_sqlstate, 2) not in ('08', '25', '40', '53', '55', '57', '58')
$$;

-- Tokens a bucket has now. Time never runs backwards here: a moment taken before a lock wait must not give a token for
-- nothing. Bounded, as all reckoning with limits is: an absurd rate or moment of one bucket must not end the round of
-- all.
create or replace function rowlock.tokens_now(b rowlock.bucket, t timestamptz) returns float8 language sql immutable as $$
  select case when b.rate is null then 1e9
              else least(b.burst, b.tokens + least(b.rate, 1e6) * case when isfinite(b.tokens_at) then greatest(0, extract(epoch from t - b.tokens_at)) else 0 end) end
$$;

-- How long until a bucket has a whole token again; it is asked again after a day at the latest.
create function rowlock.until_token(p_rate float8, p_tokens float8) returns interval language sql immutable as $$
  select make_interval(secs => least(86400, greatest(0.001, (1 - p_tokens) / greatest(p_rate, 1e-9))))
$$;

create or replace function rowlock.wake_lanes(p_buckets int[]) returns int language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare b rowlock.bucket; v_woken int := 0; v_k int; v_free int; t timestamptz := clock_timestamp();
begin
  for b in select * from rowlock.bucket where id = any(p_buckets) and has_waiters order by id for no key update loop
    v_free := least(100, rowlock.free_now(b, t));
    if v_free > 0 then
      update rowlock.lane set blocked_by = null, at = t
        where id in (select id from rowlock.lane where blocked_by = b.id order by at limit v_free for no key update skip locked);
      get diagnostics v_k = row_count;
      v_woken := v_woken + v_k;
      if v_k < v_free then
        update rowlock.bucket set has_waiters = exists (select from rowlock.lane where blocked_by = b.id), wake_at = null where id = b.id;
      else
        update rowlock.bucket set wake_at = case when rate is not null then t + rowlock.until_token(rate, 0) else t end where id = b.id;
      end if;
    elsif b.rate is not null and b.running < coalesce(b.max_running, b.running + 1) then
      update rowlock.bucket set wake_at = t + rowlock.until_token(rate, rowlock.tokens_now(b, t)) where id = b.id;
    else
      update rowlock.bucket set wake_at = null where id = b.id;      -- a release will wake them
    end if;
  end loop;
  return v_woken;
end $$;

-- Each bucket for itself; one that cannot be reckoned with is looked at again in a minute.
create function rowlock.wake_lanes_carefully(p_buckets int[]) returns int language plpgsql as $$
declare v_bucket int; v_woken int := 0;
begin
  foreach v_bucket in array p_buckets loop
    begin
      v_woken := v_woken + rowlock.wake_lanes(array[v_bucket]);
    exception when others then
      if not rowlock.is_indigestible(sqlstate) then raise; end if;
      update rowlock.bucket set wake_at = clock_timestamp() + interval '1 min' where id = v_bucket;
    end;
  end loop;
  return v_woken;
end $$;

-- Makes the buckets that are not there yet. A name that nobody registered as a limit gets one that limits nothing.
create function rowlock.make_buckets(p_names text[]) returns void language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
begin
  insert into rowlock.bucket(name, rule, max_running, rate, burst, tokens, tokens_at)
    select distinct on (x) x, split_part(x, ':', 1), l.max_running, l.rate, l.burst, coalesce(l.burst, 0), clock_timestamp()
      from unnest(p_names) x left join rowlock.limit_rule l on l.name = split_part(x, ':', 1)
     where not exists (select from rowlock.bucket b where md5(b.name) = md5(x)) order by x
    on conflict (md5(name)) do nothing;
end $$;

-- Takes events into lanes and buckets; one call a round, for all queues. Returns how many events it took.
create or replace function rowlock.fold(p_max int, p_floor xid8) returns int language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_n int; v_events rowlock.folded[]; v_names text[]; v_buckets int[]; t timestamptz;
begin
  with taken as (
    delete from rowlock.inbox where ctid = any(array(select ctid from rowlock.inbox where x >= p_floor order by x limit p_max for update skip locked)) returning *)
  select array_agg(row(lane, queue_id, priority, fairness_key, limits, due, n, r)::rowlock.folded), coalesce(sum(c), 0)::int into v_events, v_n
    from (select lane, min(queue_id) queue_id, min(priority) priority, min(fairness_key) fairness_key, max(limits) limits, min(due) due,
                 sum(n)::int n, sum(released)::int r, count(*) c from taken group by lane) e;
  if v_n = 0 then return 0; end if;
  t := clock_timestamp();
  v_names := array(select distinct x from unnest(v_events) e, unnest(e.limits) x);
  if v_names <> '{}' then perform rowlock.make_buckets(v_names); end if;
  insert into rowlock.lane as l (id, queue_id, priority, fairness_key, buckets, at, floor, pending)
    select e.lane, e.queue_id, e.priority, e.fairness_key,
           coalesce((select array_agg(b.id order by b.id) from rowlock.bucket b where md5(b.name) = any(array(select md5(x) from unnest(e.limits) x))), '{}'),
           greatest(e.due, t), e.due, e.n
      from unnest(v_events) e where e.due is not null order by e.lane
    on conflict (id) do update set pending = l.pending + excluded.pending, floor = least(l.floor, excluded.floor),
      at = case when l.blocked_by is not null then l.at else least(l.at, excluded.at) end;
  update rowlock.lane l set pending = l.pending + e.n from unnest(v_events) e where e.due is null and e.n <> 0 and l.id = e.lane;
  select array_agg(distinct b) into v_buckets from unnest(v_events) e join rowlock.lane l on l.id = e.lane, unnest(l.buckets) b where e.released > 0;
  if v_buckets is not null then
    perform 1 from rowlock.bucket where id = any(v_buckets) order by id for no key update;
    update rowlock.bucket b set running = b.running - x.r
      from (select b2, sum(e.released) r from unnest(v_events) e join rowlock.lane l on l.id = e.lane, unnest(l.buckets) b2 where e.released > 0 group by b2) x
     where b.id = x.b2;
    perform rowlock.wake_lanes(v_buckets);
  end if;
  return v_n;
end $$;

-- Takes the first event away, alone with those of the same line and limits, and sets aside the runs they tell of.
create function rowlock.set_event_aside(p_floor xid8, p_why text) returns void language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare e rowlock.inbox; v_id uuid; v_all int := 0; v_left bool := false;
begin
  delete from rowlock.inbox where ctid = any(array(select ctid from rowlock.inbox where x >= p_floor order by x limit 1 for update skip locked)) returning * into e;
  if e.lane is null then return; end if;
  delete from rowlock.inbox i where i.x >= p_floor and i.lane = e.lane and i.limits is not distinct from e.limits;
  for v_id in select a.id from rowlock.active a where a.lane = e.lane and a.due is not null and a.limits is not distinct from e.limits order by a.due limit 1000 loop
    v_left := not rowlock.set_aside(v_id, 'RunRefused', format('The claimer cannot take this run in: %s. Enqueue it anew without what is named here.', rtrim(p_why, '.'))) or v_left;
    v_all := v_all + 1;
  end loop;
  -- What their end told of themselves would be met again; what is left of them is told anew.
  delete from rowlock.inbox i where i.x = pg_current_xact_id() and i.lane = e.lane and i.limits is not distinct from e.limits;
  if v_left or v_all = 1000 then
    insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due) values (e.lane, e.queue_id, e.priority, e.fairness_key, e.limits, coalesce(e.due, clock_timestamp()));
  end if;
end $$;

create function rowlock.fold_carefully(p_max int, p_floor xid8) returns void language plpgsql as $$
declare k int := p_max; v_n int; v_end timestamptz := clock_timestamp() + interval '2 s';
begin
  while clock_timestamp() < v_end loop                         -- the rest is the next round's
    begin
      v_n := rowlock.fold(k, p_floor);
      exit when v_n < k;
      k := least(p_max, k * 2);
    exception when others then
      if not rowlock.is_indigestible(sqlstate) then raise; end if;
      if k > 1 then k := greatest(1, k / 4); else perform rowlock.set_event_aside(p_floor, sqlerrm); end if;
    end;
  end loop;
end $$;

-- As in 0003, but for what until_token bounds.
create or replace function rowlock.claim(p_queue int, p_n int, p_state text, p_lanes int default 50) returns table(id uuid, attempt int)
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  t timestamptz := clock_timestamp(); l record; v_lanes rowlock.lane[]; v_count int; v_quantum int; v_left int := p_n; v_allow int; v_blocker int; b int; i int;
  v_ids bigint[] := '{}'; v_allows int[] := '{}'; v_floors timestamptz[] := '{}'; v_blocks int[] := '{}'; v_bucket_ids int[]; v_free int[];
begin
  select array_agg(x) into v_lanes from (
    select lane from rowlock.lane where queue_id = p_queue and blocked_by is null and at <= t order by priority desc, at limit p_lanes for no key update skip locked) y(x);
  v_count := coalesce(array_length(v_lanes, 1), 0);
  if v_count = 0 then return; end if;
  v_quantum := greatest(1, (p_n + v_count - 1) / v_count);
  select array_agg(bb.id order by bb.id), array_agg(rowlock.free_now(bb, t) order by bb.id) into v_bucket_ids, v_free
    from (select * from rowlock.bucket where id in (select unnest(x.buckets) from unnest(v_lanes) x) order by id for no key update) bb;
  for l in select * from unnest(v_lanes) order by priority desc, at loop
    -- Set aside in full: bounding by lane.pending would look clever, but that counter lags behind runs whose event is
    -- not folded yet, and two lanes of one bucket would then exceed its limit.
    v_allow := least(v_quantum, v_left); v_blocker := null;
    foreach b in array l.buckets loop
      i := array_position(v_bucket_ids, b);                    -- null where the bucket is gone: the assignment below fails, and the lane is mended
      if v_free[i] < v_allow then v_allow := v_free[i]; v_blocker := b; end if;
    end loop;
    foreach b in array l.buckets loop
      i := array_position(v_bucket_ids, b);
      v_free[i] := v_free[i] - v_allow;
    end loop;
    v_left := v_left - v_allow;
    v_ids := v_ids || l.id; v_allows := v_allows || v_allow; v_floors := v_floors || l.floor; v_blocks := v_blocks || v_blocker;
  end loop;
  return query
  with pick as (
    select w.lane, r.id rid, r.due from unnest(v_ids, v_allows, v_floors) as w(lane, allow, floor),
      lateral (select r.id, r.due from rowlock.active r where r.lane = w.lane and r.due is not null and r.due >= w.floor and r.due <= t
               order by r.due limit w.allow for no key update skip locked) r),
  taken as (
    -- Joined by id, not by ctid: after a lock wait a ctid is that of a version which this snapshot cannot see.
    update rowlock.active a set state = p_state, due = null, claimed_at = t from pick p where a.id = p.rid returning a.id, a.attempt),
  got as (
    select w.lane, w.allow, w.blocker, count(p.rid) k, max(p.due) last_due
      from unnest(v_ids, v_allows, v_blocks) as w(lane, allow, blocker) left join pick p using (lane) group by 1, 2, 3),
  next as (
    select g.*, case when g.k < g.allow then (
        select min(r.due) from rowlock.active r where r.lane = g.lane and r.due is not null and r.due > coalesce(g.last_due, t)) end next_due from got g),
  lanes as (
    update rowlock.lane ll set pending = ll.pending - n.k::int, floor = greatest(ll.floor, n.last_due),
        at = case when n.k = n.allow then t when n.next_due is not null then greatest(n.next_due, t) end,
        blocked_by = case when n.k = n.allow then n.blocker end
      from next n where ll.id = n.lane),
  buckets as (
    update rowlock.bucket bb set running = bb.running + x.k, tokens = rowlock.tokens_now(bb, t) - x.k, tokens_at = greatest(bb.tokens_at, t),
        has_waiters = bb.has_waiters or x.waits,
        wake_at = case when x.waits and bb.rate is not null
                       then least(bb.wake_at, t + rowlock.until_token(bb.rate, rowlock.tokens_now(bb, t) - x.k)) else bb.wake_at end
      from (select b2, sum(n.k)::int k, coalesce(bool_or(n.blocker = b2 and n.k = n.allow), false) waits
              from next n join unnest(v_lanes) l2 on l2.id = n.lane, unnest(l2.buckets) b2 group by b2) x
     where bb.id = x.b2)
  select taken.id, taken.attempt from taken;
  -- A lane may have taken less than was set aside for it: let the others have it.
  if v_bucket_ids is not null then perform rowlock.wake_lanes(v_bucket_ids); end if;
end $$;

-- A lane's buckets as its runs name them, and no floor: whatever was wrong with its row.
create function rowlock.mend_lane(p_lane bigint) returns void language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_limits text[];
begin
  select a.limits into v_limits from rowlock.active a where a.lane = p_lane and a.due is not null order by a.due limit 1;
  perform rowlock.make_buckets(v_limits);
  update rowlock.lane set floor = '-infinity',
      buckets = array(select b.id from rowlock.bucket b where md5(b.name) = any(array(select md5(x) from unnest(v_limits) x)) order by b.id)
    where id = p_lane;
exception when others then null;                               -- then its runs stand aside, one by one
end $$;

-- The claim of one queue after it failed: fewer lanes, then one, mended; then one run, set aside.
create function rowlock.claim_carefully(p_queue int, p_n int, p_state text) returns table(id uuid, attempt int) language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_lanes int := 50; v_left int := p_n; v_n int := p_n; v_k int; v_lane bigint; v_mended bigint; v_run uuid; v_end timestamptz := clock_timestamp() + interval '2 s';
begin
  while v_left > 0 and clock_timestamp() < v_end
    and exists (select from rowlock.lane l where l.queue_id = p_queue and l.blocked_by is null and l.at <= clock_timestamp()) loop
    begin
      return query select c.id, c.attempt from rowlock.claim(p_queue, least(v_n, v_left), p_state, v_lanes) c;
      get diagnostics v_k = row_count;
      v_left := v_left - v_k; v_lanes := least(50, v_lanes * 2); v_n := least(p_n, v_n * 2);
    exception when others then
      if not rowlock.is_indigestible(sqlstate) then raise; end if;
      if v_lanes > 1 then v_lanes := greatest(1, v_lanes / 4); continue; end if;
      select l.id into v_lane from rowlock.lane l where l.queue_id = p_queue and l.blocked_by is null and l.at <= clock_timestamp() order by l.priority desc, l.at limit 1;
      if v_lane is distinct from v_mended then
        perform rowlock.mend_lane(v_lane);
        v_mended := v_lane;
      elsif v_n > 1 then
        v_n := greatest(1, v_n / 4);
      else
        select a.id into v_run from rowlock.active a join rowlock.lane l on l.id = a.lane
         where a.lane = v_lane and a.due is not null and a.due >= l.floor and a.due <= clock_timestamp() order by a.due limit 1;
        if not found or not rowlock.set_aside(v_run, 'RunRefused', format('The claimer cannot hand this run out: %s.', rtrim(sqlerrm, '.'))) then
          update rowlock.lane l set at = null where l.id = v_lane;      -- asleep, until relane_v1 looks again
        end if;
      end if;
    end;
  end loop;
end $$;

-- The claims of all queues that have a due lane. `p_careful`: after one of them failed. Only then has each an exception
-- block of its own: a transaction with more than 64 subtransactions that write makes everybody else's visibility checks
-- slow.
create function rowlock.claim_each(p_queues int[], p_ns int[], p_careful bool) returns table(queue_id int, id uuid, attempt int)
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare i int; v_state text; v_suspended bool;
begin
  for i in 1 .. coalesce(array_length(p_queues, 1), 0) loop
    if p_ns[i] > 0 and exists (select from rowlock.lane l
                                where l.queue_id = p_queues[i] and l.blocked_by is null and l.at <= clock_timestamp()) then
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

-- One call and one commit a round: takes events in, then claims for each queue that has a due lane. The last row
-- carries the floor for the next call (kept in memory by the caller; '0' at start and every few seconds). No row at
-- all: somebody else is the claimer now.
create or replace function rowlock.round_v1(p_queues int[], p_ns int[], p_floor xid8 default '0') returns table(queue_id int, id uuid, attempt int, floor xid8)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
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
    v_due := array(select bb.id from rowlock.bucket bb where bb.wake_at <= clock_timestamp() order by bb.wake_at limit 200);
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

-- The net under the hints: wakes lanes that sleep although a run is due, that look too late, or whose floor is too high
-- (a run was skipped because somebody held it). It makes inbox, floors and wake-ups things whose loss costs seconds,
-- not runs. A loose index scan over active(lane, due).
create or replace function rowlock.relane_v1() returns int language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_n int; t timestamptz := clock_timestamp();
begin
  if not rowlock.claimer_lock() then return 0; end if;
  perform rowlock.mend_clock();
  update rowlock.lane l set blocked_by = null, at = t where l.blocked_by is not null and not exists (select from rowlock.bucket b where b.id = l.blocked_by);
  perform rowlock.wake_lanes_carefully(array(select id from rowlock.bucket where has_waiters and running < coalesce(max_running, running + 1)));
  with recursive first as (
    (select lane, due from rowlock.active where due is not null order by lane, due limit 1)
    union all
    select n.lane, n.due from first, lateral (select lane, due from rowlock.active where due is not null and lane > first.lane order by lane, due limit 1) n),
  lines as materialized (
    select f.lane, f.due, l.id, l.floor, l.at, l.blocked_by from first f left join rowlock.lane l on l.id = f.lane),
  wrong as (
    select x.id, x.due, true as told from lines x where x.floor > x.due or (x.id is not null and x.blocked_by is null and (x.at is null or x.at > greatest(x.due, t)))),
  -- Floors that lie far below the first run are raised, so that they say how long a line waits (depth_v1). An event
  -- that comes later lowers them again.
  low as (
    select x.id, x.due, false from lines x
     where (x.blocked_by is not null or x.at <= t) and x.floor < greatest(least(x.due, t), '2000-01-01 00:00+00') - interval '5 s' limit 500),
  mended as (
    update rowlock.lane l set floor = w.due, at = case when l.blocked_by is not null then l.at else least(l.at, greatest(w.due, t)) end
      from (select * from wrong union all select * from low) w where l.id = w.id returning w.told),
  -- A run whose event was lost before its line was there.
  untold as (
    insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n)
      select a.lane, a.queue_id, a.priority, a.fairness_key, a.limits, a.due, (select count(*) from rowlock.active y where y.lane = x.lane and y.due is not null)
        from (select x.lane from lines x where x.id is null
                 and (select count(*) from (select from rowlock.inbox limit 1000) i) < 1000 and not exists (select from rowlock.inbox i where i.lane = x.lane) limit 100) x,
             lateral (select * from rowlock.active a where a.lane = x.lane and a.due is not null order by a.due limit 1) a)
  select count(*)::int into v_n from mended where told;
  -- A line that sleeps and has neither a run nor an event holds nothing, whatever its counter says.
  update rowlock.lane l set pending = 0
   where l.pending <> 0 and l.at is null and l.blocked_by is null and not exists (select from rowlock.active a where a.lane = l.id and a.due is not null)
     and (select count(*) from (select from rowlock.inbox limit 1000) x) < 1000 and not exists (select from rowlock.inbox i where i.lane = l.id);
  return v_n;
end $$;

revoke all on function rowlock.is_indigestible, rowlock.until_token, rowlock.wake_lanes_carefully, rowlock.make_buckets, rowlock.set_event_aside, rowlock.fold_carefully,
  rowlock.mend_lane, rowlock.claim_carefully, rowlock.claim_each from public;
