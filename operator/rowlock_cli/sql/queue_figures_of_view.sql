-- queue_figures_of_view: the same for a login that may read only the view; what the view does not show is null.
select coalesce(a.queue, e.queue) as queue, null::text as mode, null::bool as suspended, coalesce(a.waiting, 0) as waiting, null::bigint as ready, null::bigint as blocked,
       coalesce(a.claimed, 0) as claimed, coalesce(a.running, 0) as running,
       case when a.oldest is not null then greatest(0, extract(epoch from clock_timestamp()) - extract(epoch from a.oldest))::float8 end as oldest_seconds,
       coalesce(e.succeeded, 0) / %(window)s::float8 as succeeded_per_second, coalesce(e.others, 0) / %(window)s::float8 as failed_per_second, coalesce(e.dead, 0) as dead
  from (select queue, count(*) filter (where state = 'pending') as waiting, count(*) filter (where state in ('queued', 'launching')) as claimed,
               count(*) filter (where state = 'running') as running,
               least(min(case when due >= created_at - interval '1 day' then due else created_at end) filter (where due <= clock_timestamp()),
                     min(claimed_at) filter (where state in ('queued', 'launching'))) as oldest
          from rowlock.run where finished_at is null group by queue) a
  full join (select queue, count(*) filter (where state = 'succeeded' and finished_at > clock_timestamp() - make_interval(secs => %(window)s)) as succeeded,
                    count(*) filter (where state in ('dead', 'unknown') and finished_at > clock_timestamp() - make_interval(secs => %(window)s)) as others,
                    count(*) filter (where state in ('dead', 'unknown')) as dead
               from rowlock.run where finished_at is not null group by queue) e on e.queue = a.queue
 where %(queue)s::text is null or coalesce(a.queue, e.queue) = %(queue)s
 order by 1
