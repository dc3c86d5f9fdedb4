-- Takes events into lanes and buckets; one call a round, for all queues. Returns how many events it took.
create or replace function rowlock.fold(p_max int, p_floor xid8) returns int
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_n int; v_events rowlock.folded[]; v_names text[]; v_buckets int[]; v_now timestamptz;
begin
  with taken as (
    delete from rowlock.inbox
     where ctid = any(array(
       select ctid from rowlock.inbox where x >= p_floor order by x limit p_max for update skip locked)) returning *)
  select array_agg(row(lane, queue_id, priority, fairness_key, limits, due, n, released)::rowlock.folded),
         coalesce(sum(events), 0)::int into v_events, v_n
    from (select lane, min(queue_id) queue_id, min(priority) priority, min(fairness_key) fairness_key,
                 max(limits) limits, min(due) due, sum(n)::int n, sum(released)::int released, count(*) events
            from taken group by lane) of_lane;
  if v_n = 0 then return 0; end if;
  v_now := clock_timestamp();
  v_names := array(select distinct name from unnest(v_events) event, unnest(event.limits) name);
  if v_names <> '{}' then perform rowlock.make_buckets(v_names); end if;
  insert into rowlock.lane as l (id, queue_id, priority, fairness_key, buckets, at, floor, pending)
    select event.lane, event.queue_id, event.priority, event.fairness_key,
           coalesce((select array_agg(b.id order by b.id) from rowlock.bucket b
                      where md5(b.name) = any(array(select md5(name) from unnest(event.limits) name))), '{}'),
           greatest(event.due, v_now), event.due, event.n
      from unnest(v_events) event where event.due is not null order by event.lane
    on conflict (id) do update set pending = l.pending + excluded.pending, floor = least(l.floor, excluded.floor),
      at = case when l.blocked_by is not null then l.at else least(l.at, excluded.at) end;
  update rowlock.lane l set pending = l.pending + event.n
    from unnest(v_events) event where event.due is null and event.n <> 0 and l.id = event.lane;
  select array_agg(distinct bucket_id) into v_buckets
    from unnest(v_events) event join rowlock.lane l on l.id = event.lane, unnest(l.buckets) bucket_id
   where event.released > 0;
  if v_buckets is not null then
    perform 1 from rowlock.bucket where id = any(v_buckets) order by id for no key update;
    update rowlock.bucket b set running = b.running - left_it.released
      from (select bucket_id, sum(event.released) released
              from unnest(v_events) event join rowlock.lane l on l.id = event.lane, unnest(l.buckets) bucket_id
             where event.released > 0 group by bucket_id) left_it
     where b.id = left_it.bucket_id;
    perform rowlock.wake_lanes(v_buckets);
  end if;
  return v_n;
end $$;
revoke all on function rowlock.fold from public;
