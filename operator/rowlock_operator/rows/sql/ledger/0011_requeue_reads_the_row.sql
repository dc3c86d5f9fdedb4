-- Who requeues has mended the row: the next attempt must get it as it is now, not as it was when it failed.

-- Arguments from a source's row as it is now. Null where it cannot be read (the row or the table is gone, somebody's
-- lock, a run without a row): then the run keeps those it had. The statement is the operator's own, with quoted names,
-- and reads what a claim reads.
create function rowlock.read_row(p_source int, p_key text) returns jsonb
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp set lock_timeout = '1s' set jit = off as $$
declare v_statement text; v_args jsonb;
begin
  select s.spec->>'read_row' into v_statement from rowlock.source s where s.id = p_source;
  if v_statement is null then return null; end if;
  execute v_statement into v_args using p_key;
  return v_args;
exception when others then
  return null;
end $$;
revoke all on function rowlock.read_row from public;

-- Ended runs that did not succeed go back to pending, as the next attempt, with fresh budgets and a fresh look at their
-- row. A key that is active again meanwhile stays as it is.
create or replace function rowlock.requeue_v1(p_ids uuid[]) returns setof uuid language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare d rowlock.done; r rowlock.active; v_now timestamptz; v_args jsonb;
begin
  for d in select * from rowlock.done where id = any(p_ids) and state in ('dead', 'unknown', 'canceled') order by id for update loop
    v_now := clock_timestamp();
    v_args := rowlock.read_row(d.source_id, d.source_key);
    insert into rowlock.active as a (id, lane, due, queue_id, attempt, source_id, source_key, priority, fairness_key, limits, write_back, task, args, failure, created_at)
      values (d.id, rowlock.lane_of(d.queue_id, d.priority, d.fairness_key, d.limits), v_now, d.queue_id, d.attempt + 1, d.source_id, d.source_key, d.priority, d.fairness_key,
              d.limits, d.write_back, d.task, case when v_args is null then d.args when pg_column_size(v_args) <= 1000 then v_args end, d.failure, d.created_at)
      on conflict (source_id, source_key) do nothing returning * into r;
    if found then
      if pg_column_size(v_args) > 1000 then
        insert into rowlock.payload(id, args) values (d.id, v_args) on conflict (id) do update set args = excluded.args;
      end if;
      delete from rowlock.done where id = d.id;
      perform rowlock.tell(r, v_now, 1, false);
      if d.write_back then insert into rowlock.outbox(source_id, source_key, state) values (d.source_id, d.source_key, 'claimed'); end if;
      return next d.id;
    end if;
  end loop;
end $$;
