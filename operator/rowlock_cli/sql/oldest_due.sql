-- oldest_due: (seconds are differences of seconds, here and elsewhere: an infinite moment cannot be subtracted from
-- another) the run that has been startable the longest, handed out or not, of queues that are not suspended and lines
-- that no limit holds back. As depth_v1 reckons: who asked for a moment long past waits since asking.
select x.id::text, x.queue, (extract(epoch from clock_timestamp()) - extract(epoch from x.since))::float8 as seconds from (
  select f.id, q.name as queue, case when f.due >= f.created_at - interval '1 day' then f.due else f.created_at end as since
    from rowlock.lane l join rowlock.queue q on q.id = l.queue_id and not q.suspended,
         lateral (select a.id, a.due, a.created_at from rowlock.active a where a.lane = l.id and a.due <= clock_timestamp() order by a.due limit 1) f
   where l.blocked_by is null
  union all
  select a.id, q.name, a.claimed_at from rowlock.active a join rowlock.queue q on q.id = a.queue_id and not q.suspended
   where a.claimed_at <= clock_timestamp() and a.state in ('queued', 'launching')) x
 order by x.since limit 1
