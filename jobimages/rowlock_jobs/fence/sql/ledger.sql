-- What the fences ask of the ledger: each is one call of a versioned function.

-- name: hello
-- A worker process takes a lease.
select rowlock.hello_v1(%(name)s, %(lease_seconds)s)

-- name: renew
-- Keeps the lease, stores the progress of what we run, asks what was canceled.
select alive, cancel::text[] from rowlock.renew_v1(%(runner)s, %(lease_seconds)s, %(ids)s::uuid[],
                                                %(progress)s::jsonb[])

-- name: goodbye
-- An orderly end; what this runner still holds is retried at once as class infra.
select rowlock.goodbye_v1(%(runner)s)

-- name: start
-- The start fence. No row = the attempt is not ours to run.
select id::text, attempt, task, args::text, queue, source_key, tries
  from rowlock.start_v1(%(ids)s::uuid[], %(attempts)s::int[], %(runner)s, %(token)s::uuid)

-- name: cycle
-- Finish of the previous runs and start of the next in one commit.
select kind, id::text, attempt, state, task, args::text, queue, source_key, tries
  from rowlock.cycle_v1(%(f_ids)s::uuid[], %(f_attempts)s::int[], %(f_token)s::uuid, %(f_outcomes)s::text[],
                        %(f_results)s::jsonb[], %(f_failures)s::jsonb[],
                        %(s_ids)s::uuid[], %(s_attempts)s::int[], %(runner)s)

-- name: finish
-- The finish fence. No row = the outcome was stale and does not count.
select id::text, state
  from rowlock.finish_v1(%(ids)s::uuid[], %(attempts)s::int[], %(token)s::uuid, %(outcomes)s::text[],
                         %(results)s::jsonb[], %(failures)s::jsonb[])

-- name: hand_back
-- Runs that were started together with others and never begun are queued again, same attempt. An id that does not come
-- back was given up or canceled.
select rowlock.hand_back_v1(%(ids)s::uuid[], %(attempts)s, %(token)s::uuid)::text

-- name: states
-- What the ledger says of runs whose start it refused. No row = it does not know the run.
select id::text, attempt, state from rowlock.states_v1(%(ids)s::uuid[])

-- name: begin_effect
-- From here on a lost runner ends the run as unknown. False = stale or canceled: do not act.
select rowlock.begin_effect_v1(%(id)s::uuid, %(attempt)s, %(token)s::uuid, %(effect)s)

-- name: end_effect
-- The effect is known to have happened; retries are allowed again. False = stale.
select rowlock.end_effect_v1(%(id)s::uuid, %(attempt)s, %(token)s::uuid, %(result)s::jsonb)

-- name: enqueue
-- The next run, in the transaction of this one.
select rowlock.enqueue_v1(%(queue)s::text, %(task)s::text, %(args)s::jsonb, %(key)s::text, %(priority)s::int,
                          %(fairness_key)s::text, %(limits)s::text[], %(due)s::timestamptz)::text
