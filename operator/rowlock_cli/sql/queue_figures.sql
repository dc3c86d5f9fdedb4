-- queue_figures: every queue with what it has in hand, what ended in the last `window` seconds, and how many wait for a
-- person. One whose WorkQueue is gone is shown while it has anything left that somebody could do something about. The
-- lanes' counters and the events the claimer has yet to read: together they are right also while no operator leads.
select d.queue, q.mode, q.suspended, q.deleted, greatest(0, d.waiting + coalesce(i.n, 0)) as waiting, d.ready, d.blocked, d.queued + d.launching as claimed, d.running,
       case when least(d.oldest, i.due) is not null
            then greatest(0, extract(epoch from clock_timestamp()) - extract(epoch from least(d.oldest, i.due)))::float8 end as oldest_seconds,
       coalesce(e.succeeded, 0) / %(window)s::float8 as succeeded_per_second, coalesce(e.others, 0) / %(window)s::float8 as failed_per_second, coalesce(p.dead, 0) as dead
  from rowlock.depth_v1() d join rowlock.queue q on q.id = d.queue_id
  left join (select x.queue_id, sum(x.n)::bigint as n, min(case when f.due >= f.created_at - interval '1 day' then f.due else f.created_at end) as due
               from (select queue_id, lane, sum(n) as n from rowlock.inbox group by queue_id, lane) x
               left join lateral (select a.due, a.created_at from rowlock.active a where a.lane = x.lane and a.due <= clock_timestamp() order by a.due limit 1) f on true
              group by x.queue_id) i on i.queue_id = d.queue_id
  left join (select queue_id, count(*) filter (where state = 'succeeded') as succeeded, count(*) filter (where state in ('dead', 'unknown')) as others
               from rowlock.done where finished_at > clock_timestamp() - make_interval(secs => %(window)s) group by queue_id) e on e.queue_id = d.queue_id
  left join (select queue_id, count(*) as dead from rowlock.done where state in ('dead', 'unknown') group by queue_id) p on p.queue_id = d.queue_id
 where (%(queue)s::text is null and (not q.deleted or d.waiting + coalesce(i.n, 0) + d.queued + d.launching + d.running + coalesce(p.dead, 0) > 0)) or d.queue = %(queue)s
 order by d.queue
