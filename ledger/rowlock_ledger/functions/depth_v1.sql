-- Depth of every queue (or of one) from its lanes: exact, without counting runs. `waiting` = due now or later, `ready`
-- = in lanes that are not blocked by a limit, `oldest` = since when the oldest run waits that is due and has not
-- started (handed out or not); null where there is none. The depth of one queue is read from that queue's rows alone:
-- where one of them spoils the figures of all, each queue is asked for its own.
create or replace function rowlock.depth_v1(
    p_queue int default null
) returns table(queue_id int, queue text, waiting bigint, ready bigint, blocked bigint, queued bigint, launching bigint,
  running bigint, oldest timestamptz)
language sql stable security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off as $$
  select q.id, q.name, coalesce(l.waiting, 0), coalesce(l.ready, 0), coalesce(l.blocked, 0),
         coalesce(a.queued, 0), coalesce(a.launching, 0), coalesce(a.running, 0),
         case when coalesce(o.since, a.since) is not null then least(o.since, a.since, clock_timestamp()) end
    from rowlock.queue q
    left join (select queue_id, sum(greatest(pending, 0)) waiting,
                      sum(greatest(pending, 0)) filter (where blocked_by is null and at <= clock_timestamp()) ready,
                      sum(greatest(pending, 0)) filter (where blocked_by is not null) blocked
                 from rowlock.lane where p_queue is null or queue_id = p_queue group by queue_id) l on l.queue_id = q.id
    left join (select queue_id, count(*) filter (where state = 'queued') queued,
      count(*) filter (where state = 'launching') launching,
                      count(*) filter (where state = 'running') running,
                      min(claimed_at) filter (where state in ('queued', 'launching')) since
                 from rowlock.active where claimed_at is not null and (p_queue is null or queue_id = p_queue)
                   group by queue_id) a
      on a.queue_id = q.id
    left join rowlock.oldest_due(p_queue) o on o.queue_id = q.id
   where p_queue is null or q.id = p_queue
$$;
revoke all on function rowlock.depth_v1 from public;
