-- The depth of one queue is read from that queue's rows alone: where one of them spoils the figures of all, each queue
-- is asked for its own.
drop function rowlock.depth_v1();
drop function if exists rowlock.oldest_due();

-- Since when the oldest run of each queue (or of one) waits that could start: due, neither canceled nor begun. Read
-- from the lines with the lowest floors, a bounded number of them (relane_v1 keeps floors near): a run that is not due,
-- or that has ended, is never told, whatever a line's own row says.
create function rowlock.oldest_due(p_queue int default null) returns table(queue_id int, since timestamptz) language plpgsql stable
  set search_path = rowlock, pg_catalog, pg_temp set jit = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare t timestamptz := clock_timestamp(); v_most int;
begin
  select greatest(1, least(50, 2000 / greatest(1, count(*)))) into v_most from rowlock.queue;
  return query
  with lines as materialized (
    select l.queue_id, l.id, l.floor, row_number() over (partition by l.queue_id order by l.floor) as n
      from rowlock.lane l
     where l.pending > 0 and (l.blocked_by is not null or l.at <= t) and (p_queue is null or l.queue_id = p_queue))
  -- Who asks for a moment long past (or for -infinity) waits since asking.
  select x.queue_id, min(case when f.due >= f.created_at - interval '1 day' then f.due else f.created_at end)
    from lines x, lateral (
      select a.due, a.created_at from rowlock.active a
       where a.lane = x.id and a.due is not null and a.due >= x.floor and a.due <= t order by a.due limit 1) f
   where x.n <= v_most group by x.queue_id;
end $$;

-- Depth of every queue (or of one) from its lanes: exact, without counting runs. `waiting` = due now or later, `ready`
-- = in lanes that are not blocked by a limit, `oldest` = since when the oldest run waits that is due and has not
-- started (handed out or not); null where there is none.
create function rowlock.depth_v1(p_queue int default null)
returns table(queue_id int, queue text, waiting bigint, ready bigint, blocked bigint, queued bigint, launching bigint, running bigint,
              oldest timestamptz)
language sql stable security definer set search_path = rowlock, pg_catalog, pg_temp set jit = off as $$
  select q.id, q.name, coalesce(l.waiting, 0), coalesce(l.ready, 0), coalesce(l.blocked, 0),
         coalesce(a.queued, 0), coalesce(a.launching, 0), coalesce(a.running, 0),
         case when coalesce(o.since, a.since) is not null then least(o.since, a.since, clock_timestamp()) end
    from rowlock.queue q
    left join (select queue_id, sum(greatest(pending, 0)) waiting,
                      sum(greatest(pending, 0)) filter (where blocked_by is null and at <= clock_timestamp()) ready,
                      sum(greatest(pending, 0)) filter (where blocked_by is not null) blocked
                 from rowlock.lane where p_queue is null or queue_id = p_queue group by queue_id) l on l.queue_id = q.id
    left join (select queue_id, count(*) filter (where state = 'queued') queued, count(*) filter (where state = 'launching') launching,
                      count(*) filter (where state = 'running') running,
                      min(claimed_at) filter (where state in ('queued', 'launching')) since
                 from rowlock.active where claimed_at is not null and (p_queue is null or queue_id = p_queue) group by queue_id) a
      on a.queue_id = q.id
    left join rowlock.oldest_due(p_queue) o on o.queue_id = q.id
   where p_queue is null or q.id = p_queue
$$;

revoke all on function rowlock.oldest_due, rowlock.depth_v1 from public;
