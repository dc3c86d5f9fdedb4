-- name: runs
-- newest first (ids begin with the time; `r.id`, because `id` would be the text above, which no index has). A
-- null filter lets everything through.
select id::text, queue, task, state, attempt, source, source_key, priority, fairness_key, due, claimed_at, started_at,
  finished_at, created_at,
       progress, result, failure, cancel_requested, effect, infra_tries, app_tries, site_tries
  from rowlock.run r
 where (%(queue)s::text is null or queue = %(queue)s)
   and (%(states)s::text[] is null or state = any(%(states)s))
   and (%(source)s::text is null or source = %(source)s or split_part(source, '/', 2) = %(source)s)
   and (%(task)s::text is null or task = %(task)s)
   and (%(key)s::text is null or source_key = %(key)s)
   and (%(since)s::timestamptz is null or created_at >= %(since)s)
   and (%(low)s::uuid is null or id between %(low)s::uuid and %(high)s::uuid)
 order by r.id desc
 limit %(limit)s

-- name: queues
-- all that the ledger knows.
select name from rowlock.queue order by name

-- name: queues_seen
-- for a login that may read only the view: queues that have a run.
select distinct queue from rowlock.run order by queue

-- name: sources
-- the name of every RowSource that the ledger knows, also of those that are gone.
select distinct name from rowlock.source order by 1
