-- posting_runs: the newest run of each comment that ended badly, or that has not ended. Two halves, because only the
-- first has an index among ended runs.
select distinct on (comment_id) comment_id, run_id, state from (
  select r.source_key as comment_id, r.id::text as run_id, r.state, r.id from rowlock.run r
   where r.queue = %(queue)s and r.source = %(source)s and r.state in ('dead', 'unknown') and r.source_key = any(%(ids)s)
  union all
  select r.source_key, r.id::text, r.state, r.id from rowlock.run r
   where r.queue = %(queue)s and r.source = %(source)s and r.finished_at is null and r.source_key = any(%(ids)s)) x
 order by comment_id, (state in ('dead', 'unknown')), id desc
