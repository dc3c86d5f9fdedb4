-- name: upsert_queue
-- Registers a WorkQueue; the id stays for ever. Nothing is written where nothing changed.
with same as (
  select id from rowlock.queue where name = %(name)s and not deleted
     and (mode, retry, suspended, succeeded_seconds, dead_seconds) = (%(mode)s, %(retry)s::jsonb, %(suspended)s,
       %(succeeded_seconds)s, %(dead_seconds)s)
     and tasks is not distinct from %(tasks)s::text[]),
written as (
  insert into rowlock.queue(name, mode, retry, suspended, succeeded_seconds, dead_seconds, tasks)
    select %(name)s, %(mode)s, %(retry)s::jsonb, %(suspended)s, %(succeeded_seconds)s, %(dead_seconds)s,
      %(tasks)s::text[] where not exists (select from same)
    on conflict (name) do update set mode = excluded.mode, retry = excluded.retry, suspended = excluded.suspended,
      deleted = false, expected = false,
      succeeded_seconds = excluded.succeeded_seconds, dead_seconds = excluded.dead_seconds, tasks = excluded.tasks,
        changed_at = clock_timestamp()
    returning id)
select id from same union all select id from written

-- name: delete_queue
-- A WorkQueue that is gone claims nothing more; its runs stay until it comes back or they are canceled.
update rowlock.queue set suspended = true, deleted = true, changed_at = clock_timestamp() where name = %(name)s
  and not deleted

-- name: queue_names
select name from rowlock.queue where not deleted

-- name: register_source
select rowlock.register_source(%(name)s, %(queue_id)s, %(relation)s, %(key)s, %(spec)s::jsonb)

-- name: retire_source
-- Its RowSource is gone; what it has in the ledger goes on, and its outcomes are still written.
update rowlock.source set retired_at = clock_timestamp() where name = %(name)s and retired_at is null

-- name: source_trouble
update rowlock.source set trouble = %(trouble)s where id = %(id)s and trouble is distinct from %(trouble)s

-- name: source_marks
update rowlock.source set marks = %(marks)s where id = %(id)s and marks is distinct from %(marks)s

-- name: marks_mended
update rowlock.source set marks = null where marks is not null and id = any(%(audited)s) and id <> all(%(marked)s)

-- name: trouble_is_over
-- The trouble of a source that has nothing left is over.
update rowlock.source set trouble = null where trouble is not null and id <> all(%(left)s)

-- name: source_names
select name from rowlock.source where retired_at is null

-- name: left_over
-- Sources that nobody feeds here and that have runs, or outcomes to write. One probe of the index a source, however
-- many runs each has.
with recursive taken as (
  (select source_id from rowlock.active where source_id > 0 order by source_id limit 1)
  union all
  select (select a.source_id from rowlock.active a where a.source_id > t.source_id order by a.source_id limit 1)
    from taken t where t.source_id is not null)
select s.id as source_id, s.name, s.queue_id, s.spec, s.retired_at is not null as retired
  from rowlock.source s where s.id in (select source_id from taken union all select source_id from rowlock.outbox)
    and s.id <> all(%(served)s)

-- name: abandon
-- What waits of a source whose RowSource and table are both gone: no row is left that could be run, or told its
-- outcome.
with waiting as (
  select rowlock.cancel_v1(array(select id from rowlock.active where source_id = %(source)s
    and state in ('pending', 'queued')
                                  order by id limit %(n)s), 'SourceRowDeleted') as n),
outcomes as (select id, run from rowlock.outbox where source_id = %(source)s order by id limit %(n)s)
select (select n from waiting),
       (select rowlock.outbox_settle_v1(array_agg(id), coalesce(array_agg(run) filter (where run is not null), '{}'),
                                        coalesce(array_agg('gone'::text) filter (where run is not null), '{}'))::text
     from outcomes)

-- name: unfinished
-- Whether anything is still to be done that needs no claim: runs that run, outcomes to write.
select exists (select from rowlock.active where claimed_at is not null and state = 'running')
  or exists (select from rowlock.outbox)

-- name: set_limit
select rowlock.set_limit_v1(%(name)s, %(max_running)s, %(rate)s, %(burst)s)

-- name: drop_limits
select rowlock.drop_limits_v1(%(prefix)s, %(keep)s::text[])

-- name: round
-- One round of the claimer; no row: another claimer holds the lock.
select queue_id, id::text, attempt, floor::text from rowlock.round_v1(%(queues)s::int[], %(ns)s::int[], %(floor)s::xid8)

-- name: stirs
-- Whether there is an event to fold, a lane to look at, a bucket to wake.
select exists (select from rowlock.inbox where x >= %(floor)s::xid8)
    or exists (select from rowlock.lane where blocked_by is null and at <= clock_timestamp())
    or exists (select from rowlock.bucket where wake_at <= clock_timestamp())

-- name: relane
select rowlock.relane_v1()

-- name: sweep
select rowlock.sweep_v1(1000, %(slow)s)

-- name: tell_end
select rowlock.tell_end_v1(%(queue)s, %(host)s, %(container)s, %(failure)s::jsonb)

-- name: depth
-- Queues that have runs; a queue that is not there has none.
-- Seconds are differences of seconds: an infinite moment cannot be subtracted from another.
select queue_id, queue, waiting, ready, blocked, queued, launching, running, case when oldest is not null
       then greatest(0, extract(epoch from clock_timestamp()) - extract(epoch from oldest))::float8 end
  from rowlock.depth_v1(%(queue)s) where waiting + queued + launching + running > 0

-- name: claimed_counts
-- Runs in hand, by queue.
select queue_id, count(*) filter (where state = 'queued'), count(*) filter (where state <> 'queued')
  from rowlock.active where claimed_at is not null group by queue_id

-- name: stale_claims
-- Claimed, not started, for longer than it should take: the transport may have lost them. A page, behind that of the
-- pass before.
select a.id::text as run_id, a.attempt, a.queue_id, a.state, a.claimed_at::text as claimed_at from rowlock.active a
 where a.claimed_at is not null and a.claimed_at < clock_timestamp() - make_interval(secs => %(seconds)s)
   and a.state in ('queued', 'launching')
   and (%(at)s is null or (a.claimed_at, a.id) > (%(at)s::timestamptz, %(id)s::uuid))
 order by a.claimed_at, a.id limit %(n)s

-- name: misfits
select rowlock.misfits_v1(1000, %(launching)s)

-- name: rehome
select rowlock.rehome_v1()

-- name: unqueue
select rowlock.unqueue_v1(%(ids)s::uuid[], %(attempts)s::int[])

-- name: postpone
select state from rowlock.postpone_v1(%(id)s::uuid, %(attempt)s, %(failure)s::jsonb, %(first)s, %(longest)s) state

-- name: pass_over
select rowlock.pass_over_v1(%(ids)s::uuid[], %(attempts)s::int[], %(seconds)s)

-- name: cancel
select rowlock.cancel_v1(%(ids)s::uuid[], %(reason)s)

-- name: start_for_kubernetes
-- The start fence, held by the operator for a kube job of contract Exit. The kube job's uid is the token, runner 0 is
-- Kubernetes.
select id::text, task, args from rowlock.start_v1(array[%(id)s::uuid], array[%(attempt)s], 0, %(token)s::uuid)

-- name: finish
select id::text, state from rowlock.finish_v1(array[%(id)s::uuid], array[%(attempt)s], %(token)s::uuid,
  array[%(outcome)s], array[%(result)s::jsonb], array[%(failure)s::jsonb])

-- name: launchable
-- What a kube job needs to know of its run. No row: it was canceled or is somebody else's by now.
select a.id::text, a.attempt, a.task, coalesce(a.args, p.args), a.source_key,
       least(1e9, greatest(0, extract(epoch from clock_timestamp()) - extract(epoch from a.created_at)))::float8,
       coalesce(a.failure->>'started' = 'false', false)
  from rowlock.active a left join rowlock.payload p on p.id = a.id where a.id = any(%(ids)s::uuid[])
    and a.state = 'launching'

-- name: jobs_in_hand
-- Every run that has or should have a kube job, with what the launcher must know to end it; also those whose WorkQueue
-- was made anew in mode Workers.
select a.id::text, a.attempt, a.queue_id, a.state, a.cancel, a.token::text,
       least(1e9, greatest(0, extract(epoch from clock_timestamp()) - extract(epoch from a.claimed_at)))::float8,
         a.runner, q.deleted or q.mode <> 'Jobs',
       coalesce(a.failure->>'started' = 'false', false)
  from rowlock.active a join rowlock.queue q on q.id = a.queue_id
 where a.claimed_at is not null and (q.mode = 'Jobs' or a.state = 'launching' or (a.state = 'running' and a.runner = 0))

-- name: ended_counts
-- Ended runs of each source within the history.
select source_id, count(*) filter (where state = 'succeeded') as done,
       count(*) filter (where state in ('dead', 'unknown')) as failed,
       count(*) filter (where left_alone is not null) as left_alone
  from rowlock.done where source_id > 0 group by source_id

-- name: queue_failures
-- Runs of each queue that wait for a human.
select queue_id, count(*) from rowlock.done where state in ('dead', 'unknown') group by queue_id

-- name: interrupted
-- Runs that the platform keeps from running, and what it said of the one that it keeps for the longest.
select queue_id, count(*) as count, (array_agg(id::text order by interruptions desc, id))[1] as run,
       (array_agg(left(concat_ws(': ', failure->>'reason', failure->>'message'), 500)
                  order by interruptions desc, id))[1] as why
  from rowlock.active where interruptions > 2 group by queue_id

-- name: partitions
select rowlock.partitions_v1()

-- name: days_ahead
select rowlock.history_days_ahead()

-- name: wait_briefly
-- Whatever waits for a lock on a table holds up all who come after it.
set local lock_timeout = '200ms'

-- name: aside
-- Runs that could not even be ended.
select count(*) from (select from rowlock.aside limit 1000) x

-- name: retain
select rowlock.retain_v1()

-- name: forget
select rowlock.forget_v1()

-- name: dead_rows
-- Dead rows of the hot tables as the statistics know them.
select relname, n_dead_tup from pg_stat_user_tables where schemaname = 'rowlock'
  and relname in ('active', 'lane', 'bucket', 'inbox', 'outbox', 'runner')

-- name: ping
select 1

-- name: vacuum
-- By dead rows, not by the clock (autovacuum naps for a minute: 1.7 GB without a live row after 2,000,000 runs).
vacuum (analyze off) {}

-- name: source_figures
-- What each source has in hand: waiting, running, waiting behind a limit.
select a.source_id, count(*) filter (where a.started_at is null), count(*) filter (where a.state = 'running'),
  count(*) filter (where a.due is not null and l.blocked_by is not null)
  from rowlock.active a left join rowlock.lane l on l.id = a.lane where a.source_id > 0 group by a.source_id

-- name: ended_since
-- What ended after `since` and before two seconds ago (a transaction under way now is counted next time), for metrics.
-- A `since` in the future was read from a clock that has gone back.
select q.name, d.state, count(*),
       coalesce(array_agg(least(1e9, greatest(0,
                  extract(epoch from d.started_at) - extract(epoch from d.created_at)))::float8)
                filter (where d.attempt = 1 and d.started_at is not null), '{}'),
       max(upto.at)
  from (select clock_timestamp() - interval '2 s' as at) upto
  left join rowlock.done d on d.finished_at > least(%(since)s::timestamptz, upto.at) and d.finished_at <= upto.at
  left join rowlock.queue q on q.id = d.queue_id group by 1, 2

-- name: outbox_sources
-- Sources with outcomes to write back: asked once, so that idle ones cost nothing. Whether one is due, how many are
-- held, and one of these.
select source_id, bool_or(next_try is null or next_try <= clock_timestamp()) as due,
       count(*) filter (where why is not null) as held, min('row ' || left(source_key, 100) || ': ' || why) as why
  from rowlock.outbox group by source_id

-- name: transaction_settings
-- First in every transaction. Whoever is frozen or cut off between two statements would keep its locks, the claimer's
-- among them, for as long as TCP believes in it (two hours); and whoever waits for somebody's lock gives up, says so
-- and comes again, so that no thread and no connection hangs for as long as it is held. `local`, because PgBouncer
-- lends the session to others. The rest is what our statements rely on, whatever a role or a database has set (ALTER
-- ROLE ... SET): only our own bounds end them, and the values of a row are the same from one session to the next. The
-- isolation is in each BEGIN. All of it in one round trip.
set local idle_in_transaction_session_timeout = '10s'; set local lock_timeout = '5s'; set local statement_timeout = 0;
set local timezone = 'UTC'; set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres';
set local bytea_output = 'hex';
set local extra_float_digits = 1; set local array_nulls = on; set local quote_all_identifiers = off;
set local transform_null_equals = off

-- name: no_transaction_timeout
-- As above, where the server knows it (PostgreSQL 17).
set local transaction_timeout = 0

-- name: holders
-- Sessions that hold the claimer's lock, or what a session of an operator has waited for for a while, or a table of the
-- ledger against writers (whoever feeds from a user's table waits only a second); no text of a statement. Another
-- role's sessions show little of themselves to a login without pg_read_all_stats. Pid 0: a prepared transaction.
select h.pid, a.usename::text as "user", a.application_name as application, host(a.client_addr) as address,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction_seconds, a.state,
       to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as connected_at,
       to_char(a.xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as transaction_at, h.what
  from (select l.pid, 'the claimer''s lock (advisory 7700, 1)' as what, 1 as rank from pg_locks l
         where l.locktype = 'advisory' and l.database = (select d.oid from pg_database d
           where d.datname = current_database())
           and l.classid = 7700 and l.objid = 1 and l.objsubid = 2 and l.granted
        union all
        select b.pid, coalesce('a lock on ' || w.relation::regclass, 'a row of the ledger'), 2
          from (select s.pid, (select l.relation from pg_locks l where l.pid = s.pid and l.relation is not null
            and (not l.granted or l.locktype = 'tuple') limit 1) as relation
                  from pg_stat_activity s where s.datname = current_database()
                    and s.application_name = 'rowlock-operator'
                   and s.wait_event_type = 'Lock' and s.query_start < clock_timestamp() - interval '2.5 s') w
          left join pg_class c on c.oid = w.relation, unnest(pg_blocking_pids(w.pid)) b(pid)
         where w.relation is null or c.relnamespace = 'rowlock'::regnamespace
        union all
        select l.pid, 'a lock on ' || l.relation::regclass, 3 from pg_locks l join pg_class c on c.oid = l.relation
          and c.relnamespace = 'rowlock'::regnamespace
         where l.granted and l.database = (select d.oid from pg_database d where d.datname = current_database())
           and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')) h
  left join pg_stat_activity a on a.pid = h.pid
 where h.pid <> pg_backend_pid() order by h.rank, h.pid

-- name: table_holders
-- Sessions that hold the migration's lock, or any lock on a table of the ledger, for a while: what a migration may wait
-- for.
select l.pid, a.usename::text as "user", a.application_name as application, host(a.client_addr) as address,
       extract(epoch from clock_timestamp() - a.xact_start)::float8 as transaction_seconds, a.state,
       to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as connected_at,
       to_char(a.xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as transaction_at,
       min(case when l.locktype = 'advisory' then 'the lock of migrations (advisory 7700, 2)'
                else 'a lock on ' || l.relation::regclass end) as what
  from pg_locks l left join pg_stat_activity a on a.pid = l.pid
 where l.granted and l.pid <> pg_backend_pid() and l.database = (select d.oid from pg_database d
   where d.datname = current_database())
   and (l.locktype = 'advisory' and l.classid = 7700 and l.objid = 2 and l.objsubid = 2
        or l.relation in (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = 'rowlock'))
 group by l.pid, a.usename, a.application_name, a.client_addr, a.xact_start, a.state, a.backend_start
 order by min(l.locktype), a.xact_start nulls first

-- name: tell_troubles
-- What keeps duties of this operator from their work, all of it: the rest is over.
with told as (
  insert into rowlock.duty_trouble(operator, duty, reason, message, since)
    select %(operator)s, d.duty, d.reason, d.message, clock_timestamp() - make_interval(secs => d.seconds)
      from unnest(%(duties)s::text[], %(reasons)s::text[], %(messages)s::text[], %(seconds)s::float8[])
           d(duty, reason, message, seconds)
    on conflict (operator, duty) do update set reason = excluded.reason, message = excluded.message,
      since = excluded.since, seen_at = clock_timestamp())
delete from rowlock.duty_trouble
 where operator = %(operator)s and duty <> all (%(duties)s::text[]) or seen_at < clock_timestamp() - interval '1 day'
