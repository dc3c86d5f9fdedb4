-- name: surroundings
-- the queue of a run, and who holds it.
select q.mode, q.suspended, q.deleted, q.expected, q.tasks, q.retry, coalesce(d.waiting, 0) as waiting,
  coalesce(d.queued + d.launching, 0) as claimed, coalesce(d.running, 0) as running,
       r.id as runner, r.name as runner_name, r.lease_until, r.dead as runner_dead,
       (select d.left_alone from rowlock.done d where d.id = %(id)s::uuid) as left_alone,
       (select count(*) from rowlock.runner x where x.id > 0 and not x.dead
         and x.lease_until > clock_timestamp()) as runners_alive
  from rowlock.queue q
  left join rowlock.depth_v1() d on d.queue_id = q.id
  left join rowlock.active a on a.id = %(id)s::uuid
  left join rowlock.runner r on r.id = a.runner
 where q.name = %(queue)s

-- name: waiting
-- what stands between a pending run and its start. Counts stop at `most`: nobody waits differently behind
-- more.
with me as (select a.id, a.lane, a.due, a.queue_id, a.priority, a.limits from rowlock.active a
  where a.id = %(id)s::uuid),
mine as (select l.* from rowlock.lane l join me on l.id = me.lane)
select (select count(*)
  from (select from rowlock.active a, me where a.lane = me.lane and a.due is not null
    and (a.due, a.id) < (me.due, me.id) limit %(most)s) x) as ahead_in_line,
       (select coalesce(sum(greatest(l.pending, 0)), 0) from rowlock.lane l, me
         where l.queue_id = me.queue_id and l.priority > me.priority and l.blocked_by is null
           and l.at <= clock_timestamp()) as ahead_by_priority,
       (select count(*) from rowlock.lane l, me
         where l.queue_id = me.queue_id and l.priority = me.priority and l.id <> me.lane and l.pending > 0
           and l.blocked_by is null and l.at <= clock_timestamp()) as other_lines,
       b.name as limit_name, b.max_running, b.running, b.rate, b.burst, b.wake_at
  from me left join mine on true left join rowlock.bucket b on b.id = mine.blocked_by

-- name: marks_of_source
-- what an audit found of the source that the name means.
select s.marks from rowlock.source s where (s.name = %(source)s or split_part(s.name, '/', 2) = %(source)s)
  and s.retired_at is null and s.marks is not null

-- name: queue_facts
-- everything that decides whether a queue moves, in one look. `waiting` is counted, not taken from the
-- lanes: they lag while no operator leads.
select q.name, q.mode, q.suspended, q.deleted, q.expected, w.waiting, d.ready, d.blocked,
  d.queued + d.launching as claimed, d.running,
       w.not_due, w.retrying, w.next_due, w.oldest_due, w.oldest_id, c.claimed_since, i.events,
       coalesce(e.succeeded, 0) as succeeded_lately, coalesce(e.failed, 0) as failed_lately,
       (select count(*) from rowlock.done x where x.queue_id = q.id and x.state in ('dead', 'unknown')) as dead,
       array(select distinct left(a.task, 200) from rowlock.active a
              where a.queue_id = q.id and a.started_at is null and q.tasks <> '{}' and a.task <> all (q.tasks)
                limit 5) as unlisted_tasks,
       (select count(*) from rowlock.runner x where x.id > 0 and not x.dead
         and x.lease_until > clock_timestamp()) as runners_alive,
       (select count(*) from rowlock.runner x where x.id > 0 and not x.dead and x.lease_until > clock_timestamp()
           and starts_with(x.name, split_part(q.name, '/', 2) || '-worker-')) as runners_of_queue
  from rowlock.queue q join rowlock.depth_v1() d on d.queue_id = q.id,
       lateral (select count(*) as waiting, count(*) filter (where a.due > clock_timestamp()) as not_due, count(*)
         filter (where a.due > clock_timestamp() and a.failure is not null) as retrying,
                       min(a.due) filter (where a.due > clock_timestamp()) as next_due,
                         min(case when a.due >= a.created_at - interval '1 day' then a.due else a.created_at end)
                           filter (where a.due <= clock_timestamp()) as oldest_due,
                       (array_agg(a.id::text order by a.due, a.id)
                         filter (where a.due <= clock_timestamp()))[1] as oldest_id
                  from rowlock.active a where a.queue_id = q.id and a.due is not null) w,
       lateral (select min(a.claimed_at) as claimed_since from rowlock.active a where a.queue_id = q.id
         and a.claimed_at is not null and a.state in ('queued', 'launching')) c,
       lateral (select count(*) as events from rowlock.inbox x where x.queue_id = q.id) i,
       lateral (select count(*) filter (where x.state = 'succeeded') as succeeded, count(*)
         filter (where x.state in ('dead', 'unknown')) as failed
                  from rowlock.done x where x.queue_id = q.id
                    and x.finished_at > clock_timestamp() - make_interval(secs => %(window)s)) e
 where q.name = %(queue)s

-- name: queue_limits
-- the limits that hold runs of a queue back, the heaviest first.
select b.name, sum(greatest(l.pending, 0))::bigint as runs, b.max_running, b.running, b.rate, b.burst, b.wake_at
  from rowlock.lane l join rowlock.queue q on q.id = l.queue_id join rowlock.bucket b on b.id = l.blocked_by
 where q.name = %(queue)s and l.pending > 0
 group by b.id order by 2 desc, b.name limit %(limit)s
