-- count_runs: how many runs of a queue are in these states, made (those that have not ended) or ended before a moment.
select count(*) from rowlock.run
 where queue = %(queue)s and state = any(%(states)s) and coalesce(finished_at, created_at) <= %(before)s::timestamptz
