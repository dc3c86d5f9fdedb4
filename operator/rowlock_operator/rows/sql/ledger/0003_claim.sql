-- The claimer: folds events into lanes and buckets, then hands out what may start. One at a time per database, under an
-- advisory transaction lock (works through PgBouncer in transaction mode). Each step is a statement with its own
-- snapshot (READ COMMITTED): in a single statement a lane row would be re-read after a lock wait but its runs would
-- not, and a run committed in between would sleep for ever.

create function rowlock.claimer_lock() returns bool language sql as $$ select pg_try_advisory_xact_lock(7700, 1) $$;

-- Tokens a bucket has now. Time never runs backwards here: a moment taken before a lock wait must not give a token for
-- nothing.
create function rowlock.tokens_now(b rowlock.bucket, t timestamptz) returns float8 language sql immutable as $$
  select case when b.rate is null then 1e9 else least(b.burst, b.tokens + b.rate * greatest(0, extract(epoch from t - b.tokens_at))) end
$$;

-- Starts a bucket can give now.
create function rowlock.free_now(b rowlock.bucket, t timestamptz) returns int language sql immutable as $$
  select greatest(0, least(1000000, coalesce(b.max_running - b.running, 1000000), floor(rowlock.tokens_now(b, t) + 1e-6)))::int
$$;

-- Wakes lanes that wait for these buckets, first come first served, as many as the buckets can serve.
create function rowlock.wake_lanes(p_buckets int[]) returns int language plpgsql as $$
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
        update rowlock.bucket set wake_at = case when rate is not null then t + make_interval(secs => 1 / rate) else t end where id = b.id;
      end if;
    elsif b.rate is not null and b.running < coalesce(b.max_running, b.running + 1) then
      update rowlock.bucket set wake_at = t + make_interval(secs => greatest(0.001, (1 - rowlock.tokens_now(b, t)) / b.rate)) where id = b.id;
    else
      update rowlock.bucket set wake_at = null where id = b.id;      -- a release will wake them
    end if;
  end loop;
  return v_woken;
end $$;

-- Takes events into lanes and buckets; one call a round, for all queues. Returns how many events it took.
create type rowlock.folded as (lane bigint, queue_id int, priority smallint, fairness_key text, limits text[], due timestamptz, n int, released int);
create function rowlock.fold(p_max int, p_floor xid8) returns int language plpgsql as $$
declare v_n int; v_events rowlock.folded[]; v_buckets int[]; t timestamptz;
begin
  with taken as (
    delete from rowlock.inbox where ctid = any(array(select ctid from rowlock.inbox where x >= p_floor order by x limit p_max for update skip locked)) returning *)
  select array_agg(row(lane, queue_id, priority, fairness_key, limits, due, n, r)::rowlock.folded), coalesce(sum(c), 0)::int into v_events, v_n
    from (select lane, min(queue_id) queue_id, min(priority) priority, min(fairness_key) fairness_key, max(limits) limits, min(due) due,
                 sum(n)::int n, sum(released)::int r, count(*) c from taken group by lane) e;
  if v_n = 0 then return 0; end if;
  t := clock_timestamp();
  insert into rowlock.bucket(name, rule, max_running, rate, burst, tokens, tokens_at)
    select distinct on (x) x, split_part(x, ':', 1), l.max_running, l.rate, l.burst, coalesce(l.burst, 0), t
      from unnest(v_events) e, unnest(e.limits) x left join rowlock.limit_rule l on l.name = split_part(x, ':', 1)
     where not exists (select from rowlock.bucket b where b.name = x) order by x
    on conflict (name) do nothing;
  insert into rowlock.lane as l (id, queue_id, priority, fairness_key, buckets, at, floor, pending)
    select e.lane, e.queue_id, e.priority, e.fairness_key,
           coalesce((select array_agg(b.id order by b.id) from rowlock.bucket b where b.name = any(e.limits)), '{}'), greatest(e.due, t), e.due, e.n
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

-- Up to p_n runs of one queue. Lanes take turns within a priority; a lane takes at most its quantum, its free slots and
-- its tokens.
create function rowlock.claim(p_queue int, p_n int, p_state text, p_lanes int default 50) returns table(id uuid, attempt int)
language plpgsql as $$
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
      i := array_position(v_bucket_ids, b);
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
                       then least(bb.wake_at, t + make_interval(secs => greatest(0.001, (1 - (rowlock.tokens_now(bb, t) - x.k)) / bb.rate))) else bb.wake_at end
      from (select b2, sum(n.k)::int k, coalesce(bool_or(n.blocker = b2 and n.k = n.allow), false) waits
              from next n join unnest(v_lanes) l2 on l2.id = n.lane, unnest(l2.buckets) b2 group by b2) x
     where bb.id = x.b2)
  select taken.id, taken.attempt from taken;
  -- A lane may have taken less than was set aside for it: let the others have it.
  if v_bucket_ids is not null then perform rowlock.wake_lanes(v_bucket_ids); end if;
end $$;

-- One call and one commit a round: takes events in, then claims for each queue that has a due lane. The last row
-- carries the floor for the next call (kept in memory by the caller; '0' at start and every few seconds). No row at
-- all: somebody else is the claimer now.
create function rowlock.round_v1(p_queues int[], p_ns int[], p_floor xid8 default '0') returns table(queue_id int, id uuid, attempt int, floor xid8)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
#variable_conflict use_column
declare i int; v_floor xid8 := pg_snapshot_xmin(pg_current_snapshot()); v_state text; v_suspended bool;
begin
  if not rowlock.claimer_lock() then return; end if;
  if rowlock.fold(10000, p_floor) >= 10000 then v_floor := p_floor; end if;
  if exists (select from rowlock.bucket where wake_at <= clock_timestamp()) then
    perform rowlock.wake_lanes(array(select bb.id from rowlock.bucket bb where bb.wake_at <= clock_timestamp() order by bb.wake_at limit 200));
  end if;
  for i in 1 .. coalesce(array_length(p_queues, 1), 0) loop
    if p_ns[i] > 0 and exists (select from rowlock.lane l where l.queue_id = p_queues[i] and l.blocked_by is null and l.at <= clock_timestamp()) then
      select case q.mode when 'Jobs' then 'launching' else 'queued' end, q.suspended into v_state, v_suspended from rowlock.queue q where q.id = p_queues[i];
      if not coalesce(v_suspended, true) then
        return query select p_queues[i], c.id, c.attempt, null::xid8 from rowlock.claim(p_queues[i], p_ns[i], v_state) c;
      end if;
    end if;
  end loop;
  return query select null::int, null::uuid, null::int, v_floor;
end $$;

-- The net under the hints: wakes lanes that sleep although a run is due, or whose floor is too high (a run was skipped
-- because somebody held it). It makes inbox, floors and wake-ups things whose loss costs seconds, not runs. A loose
-- index scan over active(lane, due).
create function rowlock.relane_v1() returns int language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_n int;
begin
  if not rowlock.claimer_lock() then return 0; end if;
  perform rowlock.wake_lanes(array(select id from rowlock.bucket where has_waiters and running < coalesce(max_running, running + 1)));
  with recursive first as (
    (select lane, due from rowlock.active where due is not null order by lane, due limit 1)
    union all
    select n.lane, n.due from first, lateral (select lane, due from rowlock.active where due is not null and lane > first.lane order by lane, due limit 1) n),
  wrong as (
    select l.id, f.due from first f join rowlock.lane l on l.id = f.lane where l.floor > f.due or (l.at is null and l.blocked_by is null) for no key update of l skip locked),
  mended as (
    update rowlock.lane l set floor = least(l.floor, w.due), at = case when l.blocked_by is not null then l.at else least(l.at, greatest(w.due, clock_timestamp())) end
      from wrong w where l.id = w.id returning 1)
  select count(*)::int into v_n from mended;
  return v_n;
end $$;

-- Sets what a limit allows; buckets in force follow at once, waiters are looked at again.
create function rowlock.set_limit_v1(p_name text, p_max_running int, p_rate float8, p_burst float8) returns void
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  insert into rowlock.limit_rule(name, max_running, rate, burst) values (p_name, p_max_running, p_rate, p_burst)
    on conflict (name) do update set max_running = excluded.max_running, rate = excluded.rate, burst = excluded.burst;
  perform pg_advisory_xact_lock(7700, 1);          -- whoever writes buckets is the claimer for that moment
  update rowlock.bucket b set max_running = p_max_running, rate = p_rate, burst = p_burst,
      tokens = case when p_rate is null then 0 else least(p_burst, case when b.rate is null then p_burst else rowlock.tokens_now(b, clock_timestamp()) end) end,
      tokens_at = clock_timestamp(), wake_at = case when b.has_waiters then clock_timestamp() end
    where b.rule = p_name and (b.max_running, b.rate, b.burst) is distinct from (p_max_running, p_rate, p_burst);
end $$;
