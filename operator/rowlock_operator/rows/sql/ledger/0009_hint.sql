-- The hint: a NOTIFY that ends the claimer's pause early. The poll stays the truth; whatever is not hinted at is found
-- within one pause.
--
-- A NOTIFY takes a lock that all commits of the database share and halves concurrent inserts, so it is sent only while
-- somebody asks for it: the listener holds the advisory lock (7700, 3) while few rows come, and lets go of it under
-- load. Asking costs no write and leaves nothing behind when the listener dies. Who finds the lock free holds its
-- shared side to the end of the transaction, so a long transaction that began under load can keep the hint away for as
-- long as it lasts. `set rowlock.hint = off` keeps a transaction from hinting: the dispatcher's own, and those that
-- PREPARE TRANSACTION (which refuses NOTIFY).

create function rowlock.hint() returns void language plpgsql set search_path = pg_catalog as $$
begin
  if not pg_try_advisory_xact_lock_shared(7700, 3) and coalesce(current_setting('rowlock.hint', true), '') <> 'off' then
    perform pg_notify('rowlock', '');
  end if;
end $$;

-- For a user's own table: create trigger ... after insert on ... for each statement execute function rowlock.hint_v1()
create function rowlock.hint_v1() returns trigger language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  perform rowlock.hint();
  return null;
end $$;
revoke all on function rowlock.hint, rowlock.hint_v1 from public;
grant execute on function rowlock.hint_v1 to rowlock_client;

-- A run in the caller's own transaction. Null: an active run of this queue has that key already.
create or replace function rowlock.enqueue_v1(p_queue text, p_task text, p_args jsonb default '{}', p_key text default null, p_priority int default 0,
    p_fairness_key text default '', p_limits text[] default '{}', p_due timestamptz default null) returns uuid
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  v_id uuid := rowlock.new_id(); v_queue int := rowlock.queue_id(p_queue); v_limits text[] := nullif(p_limits, '{}');
  v_lane bigint; v_due timestamptz := coalesce(p_due, clock_timestamp()); v_args jsonb := coalesce(p_args, '{}'); v_large bool;
begin
  if p_priority not between -100 and 100 then
    raise exception 'priority % is outside -100..100', p_priority using errcode = 'RW002';
  end if;
  if jsonb_typeof(v_args) <> 'object' then
    raise exception 'args must be a JSON object, not a %', jsonb_typeof(v_args) using errcode = 'RW002', hint = 'A task is called with named arguments: {"name": value}.';
  end if;
  v_lane := rowlock.lane_of(v_queue, p_priority::smallint, p_fairness_key, v_limits);
  v_large := pg_column_size(v_args) > 1000;
  insert into rowlock.active(id, lane, due, queue_id, source_id, source_key, priority, fairness_key, limits, task, args)
    values (v_id, v_lane, v_due, v_queue, -v_queue, p_key, p_priority, p_fairness_key, v_limits, p_task, case when not v_large then v_args end)
    on conflict (source_id, source_key) do nothing;
  if not found then return null; end if;
  if v_large then insert into rowlock.payload(id, args) values (v_id, v_args); end if;
  insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n) values (v_lane, v_queue, p_priority, p_fairness_key, v_limits, v_due, 1);
  perform rowlock.hint();
  return v_id;
end $$;

-- Its body is stable, not immutable (array_to_string), and only a function that says what its body is can be inlined:
-- 14 us a row of a claim less.
alter function rowlock.lane_of stable;
