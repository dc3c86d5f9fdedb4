-- A run in the caller's own transaction. Null: an active run of this queue has that key already. RW001: there is no
-- such queue. RW002: an argument that nothing could be done with, or a task that the queue does not run. What a caller
-- may not ask for is refused in the caller's own statement, with what to do instead: later nobody could tell whom it
-- came from.
-- A task may enqueue the next one, too. In its run's transaction the new run exists exactly if the outcome does.
create or replace function rowlock.enqueue_v1(
    p_queue text, p_task text, p_args jsonb default '{}', p_key text default null, p_priority int default 0,
    p_fairness_key text default '', p_limits text[] default '{}', p_due timestamptz default null,
    p_wait_for_queue bool default false
) returns uuid
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  v_id uuid := rowlock.new_id(); v_queue int; v_tasks text[]; v_deleted bool; v_expected bool;
  v_limits text[] := nullif(p_limits, '{}');
  v_lane bigint; v_now timestamptz := clock_timestamp(); v_due timestamptz := coalesce(p_due, v_now);
  v_args jsonb := coalesce(p_args, '{}'); v_large bool;
begin
  select q.id, q.tasks, q.deleted, q.expected into v_queue, v_tasks, v_deleted, v_expected from rowlock.queue q
    where q.name = p_queue;
  if v_queue is null and p_wait_for_queue then
    v_queue := rowlock.expect_queue(p_queue);
  elsif v_queue is null or v_expected and p_wait_for_queue is not true then
    perform rowlock.refuse_queue(p_queue);
  elsif v_deleted and p_wait_for_queue is not true then
    raise warning 'work queue "%" is deleted: the run waits until there is a WorkQueue of that name again', p_queue
      using hint = 'p_wait_for_queue => true says that this is meant.';
  elsif v_deleted then
    -- What waits for a WorkQueue is canceled once nobody has asked for it for the queue's dead_seconds (forget_v1).
    update rowlock.queue set changed_at = v_now where id = (
      select q.id from rowlock.queue q where q.id = v_queue and q.changed_at < v_now - interval '1 day'
        for no key update skip locked);
  end if;
  if p_task is null or p_task = '' or octet_length(p_task) > 200 then
    raise exception 'p_task is null, empty or longer than 200 bytes' using errcode = 'RW002',
      hint = 'Name a task of spec.tasks of the WorkQueue.';
  end if;
  if v_tasks <> '{}' and p_task <> all (v_tasks) then
    raise exception 'task "%" is not one that work queue "%" runs', p_task, p_queue using errcode = 'RW002',
      hint = 'Its spec.tasks: ' || rowlock.some(v_tasks)
        || '. Correct the name, or add the task there (the operator passes it on within seconds).';
  end if;
  if p_priority is null or p_priority not between -100 and 100 then
    raise exception 'priority % is outside -100..100', coalesce(p_priority::text, 'null') using errcode = 'RW002';
  end if;
  if jsonb_typeof(v_args) <> 'object' then
    raise exception 'args must be a JSON object, not a %', jsonb_typeof(v_args) using errcode = 'RW002',
      hint = 'A task is called with named arguments: {"name": value}.';
  end if;
  if octet_length(p_key) not between 1 and 2000 then
    raise exception 'p_key has % bytes, not 1 to 2000', octet_length(p_key) using errcode = 'RW002',
      hint = 'Null is a run without a key. Pass a digest of what is long, such as md5(text).';
  end if;
  perform rowlock.check_text('p_fairness_key', p_fairness_key, 8000,
    'An empty text is a run without one; pass a digest of what is long.');
  if v_limits is not null then perform rowlock.check_limits(v_limits); end if;
  if p_due is not null and (not isfinite(p_due) or p_due not between v_now - interval '100 years'
    and v_now + interval '100 years') then
    raise exception 'p_due % is more than 100 years away', p_due using errcode = 'RW002',
      hint = 'Null means now. A run that nobody shall start yet is better enqueued then.';
  end if;
  v_lane := rowlock.lane_of(v_queue, p_priority::smallint, p_fairness_key, v_limits);
  v_large := pg_column_size(v_args) > 1000;
  insert into rowlock.active(id, lane, due, queue_id, source_id, source_key, priority, fairness_key, limits, task, args)
    values (v_id, v_lane, v_due, v_queue, -v_queue, p_key, p_priority, p_fairness_key, v_limits, p_task, case
      when not v_large then v_args end)
    on conflict (source_id, source_key) do nothing;
  if not found then return null; end if;
  if v_large then insert into rowlock.payload(id, args) values (v_id, v_args); end if;
  insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n)
    values (v_lane, v_queue, p_priority, p_fairness_key, v_limits, v_due, 1);
  perform rowlock.hint();
  return v_id;
end $$;
revoke all on function rowlock.enqueue_v1 from public;
grant execute on function rowlock.enqueue_v1 to rowlock_client, rowlock_worker;
