-- Takes events into lanes and buckets; one call a round, for all queues. Returns how many events it took.
create or replace function rowlock.fold(p_max int, p_floor xid8) returns int
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_n int; v_events rowlock.folded[]; v_names text[]; v_buckets int[]; t timestamptz;
begin
  with taken as (
    delete from rowlock.inbox where ctid = any(array(select ctid from rowlock.inbox where x >= p_floor order by x
      limit p_max for update skip locked)) returning *)
  select array_agg(row(lane, queue_id, priority, fairness_key, limits, due, n, r)::rowlock.folded),
    coalesce(sum(c), 0)::int into v_events, v_n
    from (select lane, min(queue_id) queue_id, min(priority) priority, min(fairness_key) fairness_key,
      max(limits) limits, min(due) due,
                 sum(n)::int n, sum(released)::int r, count(*) c from taken group by lane) e;
  if v_n = 0 then return 0; end if;
  t := clock_timestamp();
  v_names := array(select distinct x from unnest(v_events) e, unnest(e.limits) x);
  if v_names <> '{}' then perform rowlock.make_buckets(v_names); end if;
  insert into rowlock.lane as l (id, queue_id, priority, fairness_key, buckets, at, floor, pending)
    select e.lane, e.queue_id, e.priority, e.fairness_key,
           coalesce((select array_agg(b.id order by b.id) from rowlock.bucket b
             where md5(b.name) = any(array(select md5(x) from unnest(e.limits) x))), '{}'),
           greatest(e.due, t), e.due, e.n
      from unnest(v_events) e where e.due is not null order by e.lane
    on conflict (id) do update set pending = l.pending + excluded.pending, floor = least(l.floor, excluded.floor),
      at = case when l.blocked_by is not null then l.at else least(l.at, excluded.at) end;
  update rowlock.lane l set pending = l.pending + e.n from unnest(v_events) e where e.due is null and e.n <> 0
    and l.id = e.lane;
  select array_agg(distinct b) into v_buckets from unnest(v_events) e join rowlock.lane l on l.id = e.lane,
    unnest(l.buckets) b where e.released > 0;
  if v_buckets is not null then
    perform 1 from rowlock.bucket where id = any(v_buckets) order by id for no key update;
    update rowlock.bucket b set running = b.running - x.r
      from (select b2, sum(e.released) r from unnest(v_events) e join rowlock.lane l on l.id = e.lane,
        unnest(l.buckets) b2 where e.released > 0 group by b2) x
     where b.id = x.b2;
    perform rowlock.wake_lanes(v_buckets);
  end if;
  return v_n;
end $$;
revoke all on function rowlock.fold from public;
