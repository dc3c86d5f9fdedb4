-- FINISH FENCE. An id that does not come back was stale: lapsed and given to another runner, canceled, or finished
-- before.
create or replace function rowlock.finish_v1(
    p_ids uuid[], p_attempts int[], p_token uuid, p_outcomes text[], p_results jsonb[], p_failures jsonb[]
) returns table(id uuid, state text)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare v_run rowlock.active; i int;
begin
  return query
  with w as (select * from unnest(p_ids, p_attempts, p_outcomes, p_results) as w(id, attempt, outcome, result)
    where w.outcome = 'succeeded'),
  gone as (
    delete from rowlock.active a using w where a.id = w.id and a.attempt = w.attempt and a.token = p_token
      and a.state = 'running' returning a.*, w.result),
  history as (
    insert into rowlock.done(id, queue_id, attempt, source_id, source_key, state, priority, fairness_key, limits,
      write_back, task, args, infra_tries, app_tries, site_tries,
                             effect, progress, started_at, created_at, result, status_before)
      select g.id, g.queue_id, g.attempt, g.source_id, g.source_key, 'succeeded', g.priority, g.fairness_key, g.limits,
        g.write_back, g.task, g.args, g.infra_tries, g.app_tries, g.site_tries,
             null, g.progress, g.started_at, g.created_at, g.result, g.status_before from gone g),
  event as (
    insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, released)
      select g.lane, min(g.queue_id), min(g.priority), min(g.fairness_key), max(g.limits), count(*) from gone g
        where g.limits is not null group by g.lane),
  notes as (
    delete from rowlock.cancel_note c using gone g where g.cancel is not null and c.runner = g.runner and c.id = g.id),
  status as (
    insert into rowlock.outbox(source_id, source_key, state, run, attempt) select g.source_id, g.source_key,
      'succeeded', g.id, g.attempt from gone g where g.write_back)
  select g.id, 'succeeded'::text from gone g;
  for i in 1 .. coalesce(array_length(p_ids, 1), 0) loop
    if p_outcomes[i] <> 'succeeded' then
      if p_outcomes[i] not in ('failed', 'canceled', 'unknown') then
        raise exception 'outcome "%" is not one of succeeded, failed, canceled, unknown', p_outcomes[i]
          using errcode = 'RW002';
      end if;
      select * into v_run from rowlock.active a where a.id = p_ids[i] and a.attempt = p_attempts[i]
        and a.token = p_token
        and a.state = 'running' for update;
      if found then
        id := p_ids[i];
        state := rowlock.settle(v_run, p_outcomes[i], p_failures[i]);
        return next;
      end if;
    end if;
  end loop;
end $$;
revoke all on function rowlock.finish_v1 from public;
grant execute on function rowlock.finish_v1 to rowlock_worker;
