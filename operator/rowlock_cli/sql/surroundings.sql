-- surroundings: the queue of a run, and who holds it.
select q.mode, q.suspended, q.deleted, q.expected, q.tasks, q.retry, coalesce(d.waiting, 0) as waiting, coalesce(d.queued + d.launching, 0) as claimed, coalesce(d.running, 0) as running,
       r.id as runner, r.name as runner_name, r.lease_until, r.dead as runner_dead,
       (select d.left_alone from rowlock.done d where d.id = %(id)s::uuid) as left_alone,
       (select count(*) from rowlock.runner x where x.id > 0 and not x.dead and x.lease_until > clock_timestamp()) as runners_alive
  from rowlock.queue q
  left join rowlock.depth_v1() d on d.queue_id = q.id
  left join rowlock.active a on a.id = %(id)s::uuid
  left join rowlock.runner r on r.id = a.runner
 where q.name = %(queue)s
