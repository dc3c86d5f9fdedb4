-- waiting: what stands between a pending run and its start. Counts stop at `most`: nobody waits differently behind
-- more.
with me as (select a.id, a.lane, a.due, a.queue_id, a.priority, a.limits from rowlock.active a where a.id = %(id)s::uuid),
mine as (select l.* from rowlock.lane l join me on l.id = me.lane)
select (select count(*) from (select from rowlock.active a, me where a.lane = me.lane and a.due is not null and (a.due, a.id) < (me.due, me.id) limit %(most)s) x) as ahead_in_line,
       (select coalesce(sum(greatest(l.pending, 0)), 0) from rowlock.lane l, me
         where l.queue_id = me.queue_id and l.priority > me.priority and l.blocked_by is null and l.at <= clock_timestamp()) as ahead_by_priority,
       (select count(*) from rowlock.lane l, me
         where l.queue_id = me.queue_id and l.priority = me.priority and l.id <> me.lane and l.pending > 0 and l.blocked_by is null and l.at <= clock_timestamp()) as other_lines,
       b.name as limit_name, b.max_running, b.running, b.rate, b.burst, b.wake_at
  from me left join mine on true left join rowlock.bucket b on b.id = mine.blocked_by
