-- Ends one run (the row is locked by the caller): history, event, the user's status column.
create or replace function rowlock.end_run(r rowlock.active, p_state text, p_result jsonb, p_failure jsonb) returns void
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  delete from rowlock.active where id = r.id;
  if r.cancel is not null then delete from rowlock.cancel_note where runner = r.runner and id = r.id; end if;
  insert into rowlock.done(id, queue_id, attempt, source_id, source_key, state, priority, fairness_key, limits,
    write_back, task, args, infra_tries, app_tries, site_tries,
                           effect, progress, started_at, created_at, result, failure, status_before)
    values (r.id, r.queue_id, r.attempt, r.source_id, r.source_key, p_state, r.priority, r.fairness_key, r.limits,
      r.write_back, r.task, r.args, r.infra_tries, r.app_tries, r.site_tries,
            r.effect, r.progress, r.started_at, r.created_at, p_result, p_failure, r.status_before);
  if r.due is not null then perform rowlock.tell(r, null, -1, false);
  elsif r.limits is not null then perform rowlock.tell(r, null, 0, true);
  end if;
  if r.write_back then
    insert into rowlock.outbox(source_id, source_key, state, error, run, attempt)
      values (r.source_id, r.source_key, p_state, case when p_state <> 'succeeded'
        then left(coalesce(p_failure->>'message', p_failure->>'reason', p_state), 2000) end, r.id, r.attempt);
  end if;
end $$;
revoke all on function rowlock.end_run from public;
