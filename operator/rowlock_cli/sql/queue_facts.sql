-- queue_facts: everything that decides whether a queue moves, in one look. `waiting` is counted, not taken from the
-- lanes: they lag while no operator leads.
select q.name, q.mode, q.suspended, q.deleted, q.expected, w.waiting, d.ready, d.blocked, d.queued + d.launching as claimed, d.running,
       w.not_due, w.retrying, w.next_due, w.oldest_due, w.oldest_id, c.claimed_since, i.events,
       coalesce(e.succeeded, 0) as succeeded_lately, coalesce(e.failed, 0) as failed_lately,
       (select count(*) from rowlock.done x where x.queue_id = q.id and x.state in ('dead', 'unknown')) as dead,
       array(select distinct left(a.task, 200) from rowlock.active a
              where a.queue_id = q.id and a.started_at is null and q.tasks <> '{}' and a.task <> all (q.tasks) limit 5) as unlisted_tasks,
       (select count(*) from rowlock.runner x where x.id > 0 and not x.dead and x.lease_until > clock_timestamp()) as runners_alive,
       (select count(*) from rowlock.runner x where x.id > 0 and not x.dead and x.lease_until > clock_timestamp()
           and starts_with(x.name, split_part(q.name, '/', 2) || '-worker-')) as runners_of_queue
  from rowlock.queue q join rowlock.depth_v1() d on d.queue_id = q.id,
       lateral (select count(*) as waiting, count(*) filter (where a.due > clock_timestamp()) as not_due, count(*) filter (where a.due > clock_timestamp() and a.failure is not null) as retrying,
                       min(a.due) filter (where a.due > clock_timestamp()) as next_due, min(case when a.due >= a.created_at - interval '1 day' then a.due else a.created_at end) filter (where a.due <= clock_timestamp()) as oldest_due,
                       (array_agg(a.id::text order by a.due, a.id) filter (where a.due <= clock_timestamp()))[1] as oldest_id
                  from rowlock.active a where a.queue_id = q.id and a.due is not null) w,
       lateral (select min(a.claimed_at) as claimed_since from rowlock.active a where a.queue_id = q.id and a.claimed_at is not null and a.state in ('queued', 'launching')) c,
       lateral (select count(*) as events from rowlock.inbox x where x.queue_id = q.id) i,
       lateral (select count(*) filter (where x.state = 'succeeded') as succeeded, count(*) filter (where x.state in ('dead', 'unknown')) as failed
                  from rowlock.done x where x.queue_id = q.id and x.finished_at > clock_timestamp() - make_interval(secs => %(window)s)) e
 where q.name = %(queue)s
