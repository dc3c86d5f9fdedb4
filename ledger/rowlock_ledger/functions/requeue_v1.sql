-- Ended runs that did not succeed go back to pending, as the next attempt, with fresh budgets and a fresh look at their
-- row. A key that is active again meanwhile stays as it is.
create or replace function rowlock.requeue_v1(p_ids uuid[]) returns setof uuid
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_ended rowlock.done; v_run rowlock.active; v_now timestamptz; v_args jsonb;
begin
  for v_ended in
    select * from rowlock.done where id = any(p_ids) and state in ('dead', 'unknown', 'canceled') order by id for update
  loop
    v_now := clock_timestamp();
    v_args := rowlock.read_row(v_ended.source_id, v_ended.source_key);
    insert into rowlock.active as a (id, lane, due, queue_id, attempt, source_id, source_key, priority, fairness_key,
      limits, write_back, task, args, failure, created_at, status_before)
      values (v_ended.id, rowlock.lane_of(v_ended.queue_id, v_ended.priority, v_ended.fairness_key, v_ended.limits),
              v_now, v_ended.queue_id, v_ended.attempt + 1, v_ended.source_id, v_ended.source_key, v_ended.priority,
              v_ended.fairness_key, v_ended.limits, v_ended.write_back, v_ended.task,
              case when v_args is null then v_ended.args when pg_column_size(v_args) <= 1000 then v_args end,
              v_ended.failure, v_ended.created_at, v_ended.status_before)
      on conflict (source_id, source_key) do nothing returning * into v_run;
    if found then
      if pg_column_size(v_args) > 1000 then
        insert into rowlock.payload(id, args) values (v_ended.id, v_args)
          on conflict (id) do update set args = excluded.args;
      end if;
      delete from rowlock.done where id = v_ended.id;
      perform rowlock.tell(v_run, v_now, 1, false);
      if v_ended.write_back then
        insert into rowlock.outbox(source_id, source_key, state, run, attempt)
          values (v_ended.source_id, v_ended.source_key, 'claimed', v_run.id, v_run.attempt);
      end if;
      return next v_ended.id;
    end if;
  end loop;
end $$;
revoke all on function rowlock.requeue_v1 from public;
grant execute on function rowlock.requeue_v1 to rowlock_client;
