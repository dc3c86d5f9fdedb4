-- Ends one run (the row is locked by the caller): history, event, the user's status column.
create or replace function rowlock.end_run(
    p_run rowlock.active, p_state text, p_result jsonb, p_failure jsonb
) returns void
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  delete from rowlock.active where id = p_run.id;
  if p_run.cancel is not null then
    delete from rowlock.cancel_note where runner = p_run.runner and id = p_run.id;
  end if;
  insert into rowlock.done(id, queue_id, attempt, source_id, source_key, state, priority, fairness_key, limits,
      write_back, task, args, infra_tries, app_tries, site_tries, effect, progress, started_at, created_at,
      result, failure, status_before)
    values (p_run.id, p_run.queue_id, p_run.attempt, p_run.source_id, p_run.source_key, p_state, p_run.priority,
            p_run.fairness_key, p_run.limits, p_run.write_back, p_run.task, p_run.args, p_run.infra_tries,
            p_run.app_tries, p_run.site_tries, p_run.effect, p_run.progress, p_run.started_at, p_run.created_at,
            p_result, p_failure, p_run.status_before);
  if p_run.due is not null then perform rowlock.tell(p_run, null, -1, false);
  elsif p_run.limits is not null then perform rowlock.tell(p_run, null, 0, true);
  end if;
  if p_run.write_back then
    insert into rowlock.outbox(source_id, source_key, state, error, run, attempt)
      values (p_run.source_id, p_run.source_key, p_state,
              case when p_state <> 'succeeded'
                   then left(coalesce(p_failure->>'message', p_failure->>'reason', p_state), 2000) end,
              p_run.id, p_run.attempt);
  end if;
end $$;
revoke all on function rowlock.end_run from public;
