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
  v_now timestamptz := clock_timestamp(); v_lane record; v_lanes rowlock.lane[]; v_count int; v_quantum int;
  v_left int := p_n; v_allow int; v_blocker int; v_bucket int; v_place int;
  v_ids bigint[] := '{}'; v_allows int[] := '{}'; v_floors timestamptz[] := '{}'; v_blocks int[] := '{}';
  v_bucket_ids int[]; v_free int[];
begin
  select array_agg(due_lane) into v_lanes from (
    select lane from rowlock.lane where queue_id = p_queue and blocked_by is null and at <= v_now
     order by priority desc, at limit p_lanes for no key update skip locked) due_lanes(due_lane);
  v_count := coalesce(array_length(v_lanes, 1), 0);
  if v_count = 0 then return; end if;
  v_quantum := greatest(1, (p_n + v_count - 1) / v_count);
  select array_agg(locked.id order by locked.id), array_agg(rowlock.free_now(locked, v_now) order by locked.id)
    into v_bucket_ids, v_free
    from (select * from rowlock.bucket
           where id in (select unnest(due_lane.buckets) from unnest(v_lanes) due_lane)
           order by id for no key update) locked;
  for v_lane in select * from unnest(v_lanes) order by priority desc, at loop
    -- Set aside in full: bounding by lane.pending would look clever, but that counter lags behind runs whose event is
    -- not folded yet, and two lanes of one bucket would then exceed its limit.
    v_allow := least(v_quantum, v_left); v_blocker := null;
    foreach v_bucket in array v_lane.buckets loop
      -- null where the bucket is gone: the assignment below fails, and the lane is mended
      v_place := array_position(v_bucket_ids, v_bucket);
      if v_free[v_place] < v_allow then v_allow := v_free[v_place]; v_blocker := v_bucket; end if;
    end loop;
    foreach v_bucket in array v_lane.buckets loop
      v_place := array_position(v_bucket_ids, v_bucket);
      v_free[v_place] := v_free[v_place] - v_allow;
    end loop;
    v_left := v_left - v_allow;
    v_ids := v_ids || v_lane.id; v_allows := v_allows || v_allow; v_floors := v_floors || v_lane.floor;
    v_blocks := v_blocks || v_blocker;
  end loop;
  return query
  with pick as (
    select share.lane, waiting.id run_id, waiting.due
      from unnest(v_ids, v_allows, v_floors) as share(lane, allow, floor),
           lateral (select r.id, r.due from rowlock.active r
                     where r.lane = share.lane and r.due is not null and r.due >= share.floor and r.due <= v_now
                     order by r.due limit share.allow for no key update skip locked) waiting),
  taken as (
    -- Joined by id, not by ctid: after a lock wait a ctid is that of a version which this snapshot cannot see.
    update rowlock.active a set state = p_state, due = null, claimed_at = v_now
      from pick where a.id = pick.run_id returning a.id, a.attempt),
  got as (
    select share.lane, share.allow, share.blocker, count(pick.run_id) runs, max(pick.due) last_due
      from unnest(v_ids, v_allows, v_blocks) as share(lane, allow, blocker) left join pick using (lane)
     group by 1, 2, 3),
  next as (
    select got.*, case when got.runs < got.allow then (
        select min(r.due) from rowlock.active r
         where r.lane = got.lane and r.due is not null and r.due > coalesce(got.last_due, v_now)) end next_due
      from got),
  lanes as (
    update rowlock.lane l set pending = l.pending - next.runs::int, floor = greatest(l.floor, next.last_due),
        at = case when next.runs = next.allow then v_now
                  when next.next_due is not null then greatest(next.next_due, v_now) end,
        blocked_by = case when next.runs = next.allow then next.blocker end
      from next where l.id = next.lane),
  buckets as (
    update rowlock.bucket b set running = b.running + used.runs,
        tokens = rowlock.tokens_now(b, v_now) - used.runs, tokens_at = greatest(b.tokens_at, v_now),
        has_waiters = b.has_waiters or used.waits,
        wake_at = case when used.waits and b.rate is not null
                       then least(b.wake_at,
                                  v_now + rowlock.until_token(b.rate, rowlock.tokens_now(b, v_now) - used.runs))
                       else b.wake_at end
      from (select bucket_id, sum(next.runs)::int runs,
                   coalesce(bool_or(next.blocker = bucket_id and next.runs = next.allow), false) waits
              from next join unnest(v_lanes) l on l.id = next.lane, unnest(l.buckets) bucket_id
             group by bucket_id) used
     where b.id = used.bucket_id)
  select taken.id, taken.attempt from taken;
  -- A lane may have taken less than was set aside for it: let the others have it.
  if v_bucket_ids is not null then perform rowlock.wake_lanes(v_bucket_ids); end if;
end $$;
revoke all on function rowlock.claim from public;
