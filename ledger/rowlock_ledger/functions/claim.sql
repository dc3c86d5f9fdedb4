-- Up to p_n runs of one queue. Lanes take turns within a priority; a lane takes at most its quantum, its free slots and
-- its tokens.
create or replace function rowlock.claim(
    p_queue int, p_n int, p_state text, p_lanes int default 50
) returns table(id uuid, attempt int)
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  t timestamptz := clock_timestamp(); l record; v_lanes rowlock.lane[]; v_count int; v_quantum int; v_left int := p_n;
  v_allow int; v_blocker int; b int; i int;
  v_ids bigint[] := '{}'; v_allows int[] := '{}'; v_floors timestamptz[] := '{}'; v_blocks int[] := '{}';
  v_bucket_ids int[]; v_free int[];
begin
  select array_agg(x) into v_lanes from (
    select lane from rowlock.lane where queue_id = p_queue and blocked_by is null and at <= t order by priority desc, at
      limit p_lanes for no key update skip locked) y(x);
  v_count := coalesce(array_length(v_lanes, 1), 0);
  if v_count = 0 then return; end if;
  v_quantum := greatest(1, (p_n + v_count - 1) / v_count);
  select array_agg(bb.id order by bb.id), array_agg(rowlock.free_now(bb, t) order by bb.id) into v_bucket_ids, v_free
    from (select * from rowlock.bucket where id in (select unnest(x.buckets) from unnest(v_lanes) x) order by id
      for no key update) bb;
  for l in select * from unnest(v_lanes) order by priority desc, at loop
    -- Set aside in full: bounding by lane.pending would look clever, but that counter lags behind runs whose event is
    -- not folded yet, and two lanes of one bucket would then exceed its limit.
    v_allow := least(v_quantum, v_left); v_blocker := null;
    foreach b in array l.buckets loop
      -- null where the bucket is gone: the assignment below fails, and the lane is mended
      i := array_position(v_bucket_ids, b);
      if v_free[i] < v_allow then v_allow := v_free[i]; v_blocker := b; end if;
    end loop;
    foreach b in array l.buckets loop
      i := array_position(v_bucket_ids, b);
      v_free[i] := v_free[i] - v_allow;
    end loop;
    v_left := v_left - v_allow;
    v_ids := v_ids || l.id; v_allows := v_allows || v_allow; v_floors := v_floors || l.floor;
    v_blocks := v_blocks || v_blocker;
  end loop;
  return query
  with pick as (
    select w.lane, r.id rid, r.due from unnest(v_ids, v_allows, v_floors) as w(lane, allow, floor),
      lateral (select r.id, r.due from rowlock.active r where r.lane = w.lane and r.due is not null and r.due >= w.floor
        and r.due <= t
               order by r.due limit w.allow for no key update skip locked) r),
  taken as (
    -- Joined by id, not by ctid: after a lock wait a ctid is that of a version which this snapshot cannot see.
    update rowlock.active a set state = p_state, due = null, claimed_at = t from pick p where a.id = p.rid
      returning a.id, a.attempt),
  got as (
    select w.lane, w.allow, w.blocker, count(p.rid) k, max(p.due) last_due
      from unnest(v_ids, v_allows, v_blocks) as w(lane, allow, blocker) left join pick p using (lane) group by 1, 2, 3),
  next as (
    select g.*, case when g.k < g.allow then (
        select min(r.due) from rowlock.active r where r.lane = g.lane and r.due is not null
          and r.due > coalesce(g.last_due, t)) end next_due from got g),
  lanes as (
    update rowlock.lane ll set pending = ll.pending - n.k::int, floor = greatest(ll.floor, n.last_due),
        at = case when n.k = n.allow then t when n.next_due is not null then greatest(n.next_due, t) end,
        blocked_by = case when n.k = n.allow then n.blocker end
      from next n where ll.id = n.lane),
  buckets as (
    update rowlock.bucket bb set running = bb.running + x.k, tokens = rowlock.tokens_now(bb, t) - x.k,
      tokens_at = greatest(bb.tokens_at, t),
        has_waiters = bb.has_waiters or x.waits,
        wake_at = case when x.waits and bb.rate is not null
                       then least(bb.wake_at, t + rowlock.until_token(bb.rate, rowlock.tokens_now(bb, t) - x.k))
                         else bb.wake_at end
      from (select b2, sum(n.k)::int k, coalesce(bool_or(n.blocker = b2 and n.k = n.allow), false) waits
              from next n join unnest(v_lanes) l2 on l2.id = n.lane, unnest(l2.buckets) b2 group by b2) x
     where bb.id = x.b2)
  select taken.id, taken.attempt from taken;
  -- A lane may have taken less than was set aside for it: let the others have it.
  if v_bucket_ids is not null then perform rowlock.wake_lanes(v_bucket_ids); end if;
end $$;
revoke all on function rowlock.claim from public;
