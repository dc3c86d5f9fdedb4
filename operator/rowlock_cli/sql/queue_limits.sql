-- queue_limits: the limits that hold runs of a queue back, the heaviest first.
select b.name, sum(greatest(l.pending, 0))::bigint as runs, b.max_running, b.running, b.rate, b.burst, b.wake_at
  from rowlock.lane l join rowlock.queue q on q.id = l.queue_id join rowlock.bucket b on b.id = l.blocked_by
 where q.name = %(queue)s and l.pending > 0
 group by b.id order by 2 desc, b.name limit %(limit)s
