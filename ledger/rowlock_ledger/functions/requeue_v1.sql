-- Ended runs that did not succeed go back to pending, as the next attempt, with fresh budgets and a fresh look at their
-- row. A key that is active again meanwhile stays as it is.
create or replace function rowlock.requeue_v1(p_ids uuid[]) returns setof uuid
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare d rowlock.done; r rowlock.active; v_now timestamptz; v_args jsonb;
begin
  for d in select * from rowlock.done where id = any(p_ids) and state in ('dead', 'unknown', 'canceled') order by id
    for update loop
    v_now := clock_timestamp();
    v_args := rowlock.read_row(d.source_id, d.source_key);
    insert into rowlock.active as a (id, lane, due, queue_id, attempt, source_id, source_key, priority, fairness_key,
      limits, write_back, task, args, failure, created_at, status_before)
      values (d.id, rowlock.lane_of(d.queue_id, d.priority, d.fairness_key, d.limits), v_now, d.queue_id, d.attempt + 1,
        d.source_id, d.source_key, d.priority, d.fairness_key,
              d.limits, d.write_back, d.task, case when v_args is null then d.args when pg_column_size(v_args) <= 1000
                then v_args end, d.failure, d.created_at, d.status_before)
      on conflict (source_id, source_key) do nothing returning * into r;
    if found then
      if pg_column_size(v_args) > 1000 then
        insert into rowlock.payload(id, args) values (d.id, v_args) on conflict (id) do update set args = excluded.args;
      end if;
      delete from rowlock.done where id = d.id;
      perform rowlock.tell(r, v_now, 1, false);
      if d.write_back then
        insert into rowlock.outbox(source_id, source_key, state, run, attempt)
          values (d.source_id, d.source_key, 'claimed', r.id, r.attempt);
      end if;
      return next d.id;
    end if;
  end loop;
end $$;
revoke all on function rowlock.requeue_v1 from public;
grant execute on function rowlock.requeue_v1 to rowlock_client;
