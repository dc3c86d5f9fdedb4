-- name: partitions
-- how many days ahead the history has a place for what ends then (0 = only today).
select coalesce(max(days), -1) as days_ahead from (
  select to_date(right(c.relname, 8), 'YYYYMMDD') - (clock_timestamp() at time zone 'UTC')::date as days
    from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'rowlock.done'::regclass) x

-- name: oldest_due
-- (seconds are differences of seconds, here and elsewhere: an infinite moment cannot be subtracted from
-- another) the run that has been startable the longest, handed out or not, of queues that are not suspended and lines
-- that no limit holds back. As depth_v1 reckons: who asked for a moment long past waits since asking.
select x.id::text, x.queue, (extract(epoch from clock_timestamp()) - extract(epoch from x.since))::float8 as seconds
  from (
  select f.id, q.name as queue, case when f.due >= f.created_at - interval '1 day' then f.due
    else f.created_at end as since
    from rowlock.lane l join rowlock.queue q on q.id = l.queue_id and not q.suspended,
         lateral (select a.id, a.due, a.created_at from rowlock.active a where a.lane = l.id
           and a.due <= clock_timestamp() order by a.due limit 1) f
   where l.blocked_by is null
  union all
  select a.id, q.name, a.claimed_at from rowlock.active a join rowlock.queue q on q.id = a.queue_id and not q.suspended
   where a.claimed_at <= clock_timestamp() and a.state in ('queued', 'launching')) x
 order by x.since limit 1

-- name: source_problems
-- what does not go on by itself: sources that nobody feeds and whose outcomes cannot be written, with
-- how many wait; rows marked as taken that no run belongs to.
select s.trouble, (select count(*)
  from (select from rowlock.outbox o where o.source_id = s.id limit 1000) x) as outcomes, s.marks
  from rowlock.source s where s.trouble is not null or (s.marks is not null and s.retired_at is null) order by s.name,
    s.id
