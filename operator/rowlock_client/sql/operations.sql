-- name: enqueue
-- null where an active run of this queue has the key.
select rowlock.enqueue_v1(p_queue => %(queue)s, p_task => %(task)s, p_args => %(args)s::jsonb, p_key => %(key)s,
  p_priority => %(priority)s,
  p_wait_for_queue => %(wait_for_queue)s)::text

-- name: active_with_key
-- the run that has this key now.
select id::text from rowlock.run where queue = %(queue)s and source is null and source_key = %(key)s
  and finished_at is null

-- name: requeue
-- returns the ids that went back to pending.
select rowlock.requeue_v1(%(ids)s::uuid[])::text

-- name: dead_ids
-- the oldest dead runs of a queue after a given one, a batch at a time (a run that cannot be requeued must
-- not stop the rest).
select id::text from rowlock.run r where queue = %(queue)s and state = 'dead' and id > %(after)s::uuid order by r.id
  limit %(limit)s

-- name: cancel
-- how many were ended or told to end.
select rowlock.cancel_v1(%(ids)s::uuid[], %(reason)s)

-- name: cancel_waiting
-- how many runs that had not started were ended.
select rowlock.cancel_waiting_v1(%(queue)s, %(states)s, %(before)s::timestamptz, %(limit)s, %(reason)s)

-- name: delete_ended
-- how many ended runs were deleted.
select rowlock.purge_v1(%(queue)s, %(states)s, clock_timestamp() - %(before)s::timestamptz, %(limit)s)

-- name: count_runs
-- how many runs of a queue are in these states, made (those that have not ended) or ended before a moment.
select count(*) from rowlock.run
 where queue = %(queue)s and state = any(%(states)s) and coalesce(finished_at, created_at) <= %(before)s::timestamptz

-- name: remembered_keys
-- what a source remembers as taken; null = of all keys.
select source_table, has_status_column, remembered from rowlock.remembered_keys_v1(%(source)s, %(keys)s)

-- name: forget_keys
-- how many keys were forgotten.
select rowlock.forget_keys_v1(%(source)s, %(keys)s, %(before)s, %(limit)s)
