-- cycle: finish of the previous runs and start of the next in one commit.
select kind, id::text, attempt, state, task, args::text, queue, source_key, tries
  from rowlock.cycle_v1(%(f_ids)s::uuid[], %(f_attempts)s::int[], %(f_token)s::uuid, %(f_outcomes)s::text[], %(f_results)s::jsonb[], %(f_failures)s::jsonb[],
                        %(s_ids)s::uuid[], %(s_attempts)s::int[], %(runner)s)
