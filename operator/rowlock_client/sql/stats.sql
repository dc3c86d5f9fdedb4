-- name: versions
-- what is reached, as whom. No password is anywhere in it.
select current_database()::text as database, current_user::text as login, host(inet_server_addr()) as address,
  split_part(current_setting('server_version'), ' ', 1) as postgresql,
       has_table_privilege('rowlock.migration', 'select') as may_read_migrations

-- name: migrations
-- the versions this ledger has.
select version from rowlock.migration order by version

-- name: queue_stats
-- every queue with what it has in hand, what ended in the last `window` seconds, and how many wait for a
-- person. One whose WorkQueue is gone is shown while it has anything left that somebody could do something about. The
-- lanes' counters and the events the claimer has yet to read: together they are right also while no operator leads.
select d.queue, q.mode, q.suspended, q.deleted, greatest(0, d.waiting + coalesce(i.n, 0)) as waiting, d.ready,
  d.blocked, d.queued + d.launching as claimed, d.running,
       case when least(d.oldest, i.due) is not null
            then greatest(0, extract(epoch from clock_timestamp()) - extract(epoch
              from least(d.oldest, i.due)))::float8 end as oldest_seconds,
       coalesce(e.succeeded, 0) / %(window)s::float8 as succeeded_per_second,
         coalesce(e.others, 0) / %(window)s::float8 as failed_per_second, coalesce(p.dead, 0) as dead
  from rowlock.depth_v1() d join rowlock.queue q on q.id = d.queue_id
  left join (select x.queue_id, sum(x.n)::bigint as n,
    min(case when f.due >= f.created_at - interval '1 day' then f.due else f.created_at end) as due
               from (select queue_id, lane, sum(n) as n from rowlock.inbox group by queue_id, lane) x
               left join lateral (select a.due, a.created_at from rowlock.active a where a.lane = x.lane
                 and a.due <= clock_timestamp() order by a.due limit 1) f on true
              group by x.queue_id) i on i.queue_id = d.queue_id
  left join (select queue_id, count(*) filter (where state = 'succeeded') as succeeded, count(*)
    filter (where state in ('dead', 'unknown')) as others
               from rowlock.done where finished_at > clock_timestamp() - make_interval(secs => %(window)s)
                 group by queue_id) e on e.queue_id = d.queue_id
  left join (select queue_id, count(*) as dead from rowlock.done where state in ('dead', 'unknown')
    group by queue_id) p on p.queue_id = d.queue_id
 where (%(queue)s::text is null
   and (not q.deleted or d.waiting + coalesce(i.n, 0) + d.queued + d.launching + d.running + coalesce(p.dead,
     0) > 0)) or d.queue = %(queue)s
 order by d.queue

-- name: queue_stats_of_view
-- the same for a login that may read only the view; what the view does not show is null.
select coalesce(a.queue, e.queue) as queue, null::text as mode, null::bool as suspended,
  coalesce(a.waiting, 0) as waiting, null::bigint as ready, null::bigint as blocked,
       coalesce(a.claimed, 0) as claimed, coalesce(a.running, 0) as running,
       case when a.oldest is not null then greatest(0,
         extract(epoch from clock_timestamp()) - extract(epoch from a.oldest))::float8 end as oldest_seconds,
       coalesce(e.succeeded, 0) / %(window)s::float8 as succeeded_per_second,
         coalesce(e.others, 0) / %(window)s::float8 as failed_per_second, coalesce(e.dead, 0) as dead
  from (select queue, count(*) filter (where state = 'pending') as waiting, count(*)
    filter (where state in ('queued', 'launching')) as claimed,
               count(*) filter (where state = 'running') as running,
               least(min(case when due >= created_at - interval '1 day' then due else created_at end)
                 filter (where due <= clock_timestamp()),
                     min(claimed_at) filter (where state in ('queued', 'launching'))) as oldest
          from rowlock.run where finished_at is null group by queue) a
  full join (select queue, count(*)
    filter (where state = 'succeeded'
      and finished_at > clock_timestamp() - make_interval(secs => %(window)s)) as succeeded,
                    count(*) filter (where state in ('dead', 'unknown')
                      and finished_at > clock_timestamp() - make_interval(secs => %(window)s)) as others,
                    count(*) filter (where state in ('dead', 'unknown')) as dead
               from rowlock.run where finished_at is not null group by queue) e on e.queue = a.queue
 where %(queue)s::text is null or coalesce(a.queue, e.queue) = %(queue)s
 order by 1

-- name: source_stats
-- every RowSource with what the ledger took from it, within the history of its queue; those that are
-- gone, or whose WorkQueue is, while anything is left.
select s.name as source, q.name as queue, s.spec->>'table' as source_table, s.spec->>'task' as task,
       coalesce(a.waiting, 0) as waiting, coalesce(a.running, 0) as running, coalesce(e.done, 0) as done,
         coalesce(e.failed, 0) as failed
  from rowlock.source s left join rowlock.queue q on q.id = s.queue_id
  left join (select source_id, count(*) filter (where state <> 'running') as waiting, count(*)
    filter (where state = 'running') as running
               from rowlock.active where source_id > 0 group by source_id) a on a.source_id = s.id
  left join (select source_id, count(*) filter (where state = 'succeeded') as done, count(*)
    filter (where state in ('dead', 'unknown')) as failed
               from rowlock.done where source_id > 0 group by source_id) e on e.source_id = s.id
 where (s.retired_at is null and not coalesce(q.deleted, false)) or coalesce(a.waiting, 0) + coalesce(a.running,
   0) + coalesce(e.failed, 0) > 0
 order by s.name

-- name: runners
-- who holds a lease, and who let it lapse and was not swept.
select count(*) filter (where not dead and lease_until > clock_timestamp()) as alive,
       coalesce(max(extract(epoch from clock_timestamp()) - extract(epoch from lease_until))
         filter (where not dead and lease_until <= clock_timestamp()), 0)::float8 as lapsed_seconds
  from rowlock.runner where id > 0

-- name: operator_seen
-- the leader looks several times a second, whether there is work or not. Another role's sessions are
-- seen only with the right to.
select coalesce(pg_has_role(current_user, 'pg_read_all_stats', 'usage') or pg_has_role(current_user, n.nspowner,
  'usage'), false) as visible,
       (select extract(epoch from clock_timestamp() - max(greatest(a.state_change, a.query_start)))::float8
         from pg_stat_activity a
         where a.datname = current_database() and a.application_name = 'rowlock-operator') as seconds
  from pg_namespace n where n.nspname = 'rowlock'

-- name: duty_problems
-- what keeps an operator's duties from their work. It says so once a minute while it lasts: what is older is
-- of one that died meanwhile.
select duty, message, (extract(epoch from clock_timestamp()) - extract(epoch from min(since)))::float8 as seconds
  from rowlock.duty_trouble where seen_at > clock_timestamp() - interval '3 minutes' group by duty, message
    order by duty <> 'ledger lock', duty <> 'claimer', duty, message

-- name: queues_gone
-- those without a WorkQueue; `expected` ones never had one.
select name, expected from rowlock.queue where deleted
