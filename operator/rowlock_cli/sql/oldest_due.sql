-- oldest_due: (seconds are differences of seconds, here and elsewhere: an infinite moment cannot be subtracted from another)
-- the run that has been startable the longest, of queues that are not suspended and lines that no limit holds back.
select f.id::text, q.name as queue, (extract(epoch from clock_timestamp()) - extract(epoch from f.due))::float8 as seconds
  from rowlock.lane l join rowlock.queue q on q.id = l.queue_id and not q.suspended,
       lateral (select a.id, a.due from rowlock.active a where a.lane = l.id and a.due is not null order by a.due limit 1) f
 where l.blocked_by is null and f.due <= clock_timestamp()
 order by f.due limit 1
