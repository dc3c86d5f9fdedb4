-- What a caller may not ask for is refused in the caller's own statement, with what to do instead: later nobody could
-- tell whom it came from.

alter table rowlock.queue add column tasks text[];                        -- spec.tasks; null = not known (yet), so not checked
alter table rowlock.queue add column expected bool not null default false; -- noted by an enqueuer: no WorkQueue of that name was ever seen (deleted is true, too)

-- The first names of many, for a hint.
create function rowlock.some(p_names text[]) returns text language sql immutable parallel safe set search_path = pg_catalog as $$
  select coalesce(string_agg(left(n, 200), ', ' order by n) filter (where i <= 20), 'none') || case when count(*) > 20 then ', ...' else '' end
    from (select n, row_number() over (order by n) i from unnest(p_names) n) x
$$;

create function rowlock.refuse_queue(p_name text) returns void language plpgsql stable set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  raise exception 'work queue "%" is not known to the ledger of this database', coalesce(left(p_name, 300), 'null')
    using errcode = 'RW001', hint = 'Names are namespace/name. Known here: ' ||
      rowlock.some(array(select q.name from rowlock.queue q where not q.expected order by q.name limit 21)) ||
      '. Create the WorkQueue, or look at its condition Ready; enqueue_v1 with p_wait_for_queue => true has the run wait for it.';
end $$;

create or replace function rowlock.queue_id(p_name text) returns int language plpgsql stable set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_id int;
begin
  select id into v_id from rowlock.queue where name = p_name;
  if v_id is null then perform rowlock.refuse_queue(p_name); end if;
  return v_id;
end $$;

-- The id of a queue that an enqueuer expects. Two who note the same name wait for each other, and not for long.
create function rowlock.expect_queue(p_name text) returns int language plpgsql
  set search_path = rowlock, pg_catalog, pg_temp set lock_timeout = '5s' as $$
declare v_id int;
begin
  if p_name is null or octet_length(p_name) > 400 or p_name !~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9.-]*[a-z0-9])?$' then
    raise exception 'work queue "%" can never exist', coalesce(left(p_name, 300), 'null')
      using errcode = 'RW001', hint = 'Names are namespace/name, as Kubernetes has them: lower case letters, digits, dashes.';
  end if;
  insert into rowlock.queue(name, suspended, deleted, expected) values (p_name, true, true, true) on conflict (name) do nothing returning id into v_id;
  if v_id is null then select id into v_id from rowlock.queue where name = p_name; end if;
  return v_id;
exception when lock_not_available then
  raise exception 'work queue "%" is being noted by another transaction', p_name
    using errcode = 'RW001', hint = 'That transaction enqueued for the same unknown queue and has not ended. Try again, or create the WorkQueue.';
end $$;

-- One value that stands in an index or is carried through lanes and events.
create function rowlock.check_text(p_what text, p_value text, p_most int, p_hint text) returns void language plpgsql immutable set search_path = pg_catalog as $$
begin
  if p_value is null then
    raise exception '% is null', p_what using errcode = 'RW002', hint = p_hint;
  elsif octet_length(p_value) > p_most then
    raise exception '% has % bytes, more than %', p_what, octet_length(p_value), p_most using errcode = 'RW002', hint = p_hint;
  end if;
end $$;

-- Every limit must have a rule: a name that nobody registered would be no limit at all.
create function rowlock.check_limits(p_limits text[]) returns void language plpgsql stable
  set search_path = rowlock, pg_catalog, pg_temp set jit = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare v_limit text; v_unknown text[];
begin
  -- All is well nearly always: one statement says so.
  if cardinality(p_limits) <= 20 and array_ndims(p_limits) = 1 and not exists (
       select from unnest(p_limits) x where (octet_length(x) <= 8000 and position(E'\x01' in x) = 0
          and exists (select from rowlock.limit_rule r where r.name = split_part(x, ':', 1))) is not true) then
    return;
  end if;
  if cardinality(p_limits) > 20 or array_ndims(p_limits) > 1 then
    raise exception 'p_limits holds % names, more than 20, or is not a plain list', cardinality(p_limits) using errcode = 'RW002',
      hint = 'A run of a RowSource has at most 8 limits. Pass array[''rule:value'', ...].';
  end if;
  foreach v_limit in array p_limits loop
    perform rowlock.check_text('a name in p_limits', v_limit, 8000, 'Names are rule:value, such as per-customer:17; leave out what is not limited.');
    if position(E'\x01' in v_limit) > 0 then
      raise exception 'a name in p_limits holds the control character 1' using errcode = 'RW002', hint = 'Names are rule:value, such as per-customer:17.';
    end if;
  end loop;
  v_unknown := array(select distinct split_part(x, ':', 1) from unnest(p_limits) x
                      where not exists (select from rowlock.limit_rule r where r.name = split_part(x, ':', 1)));
  raise exception 'p_limits names a limit without a rule: %', rowlock.some(v_unknown) using errcode = 'RW002',
    hint = 'It would limit nothing. Rules registered here: ' || rowlock.some(array(select r.name from rowlock.limit_rule r order by r.name limit 21)) ||
      '. The operator registers those of RowSources (spec.limits) as <source id>.<name>; others are made with rowlock.set_limit_v1 by the operator''s login.';
end $$;

-- A run in the caller's own transaction. Null: an active run of this queue has that key already. RW001: there is no
-- such queue. RW002: an argument that nothing could be done with, or a task that the queue does not run.
drop function rowlock.enqueue_v1(text, text, jsonb, text, int, text, text[], timestamptz);
create function rowlock.enqueue_v1(p_queue text, p_task text, p_args jsonb default '{}', p_key text default null, p_priority int default 0,
    p_fairness_key text default '', p_limits text[] default '{}', p_due timestamptz default null, p_wait_for_queue bool default false) returns uuid
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  v_id uuid := rowlock.new_id(); v_queue int; v_tasks text[]; v_deleted bool; v_expected bool; v_limits text[] := nullif(p_limits, '{}');
  v_lane bigint; v_now timestamptz := clock_timestamp(); v_due timestamptz := coalesce(p_due, v_now); v_args jsonb := coalesce(p_args, '{}'); v_large bool;
begin
  select q.id, q.tasks, q.deleted, q.expected into v_queue, v_tasks, v_deleted, v_expected from rowlock.queue q where q.name = p_queue;
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
      select q.id from rowlock.queue q where q.id = v_queue and q.changed_at < v_now - interval '1 day' for no key update skip locked);
  end if;
  if p_task is null or p_task = '' or octet_length(p_task) > 200 then
    raise exception 'p_task is null, empty or longer than 200 bytes' using errcode = 'RW002', hint = 'Name a task of spec.tasks of the WorkQueue.';
  end if;
  if v_tasks <> '{}' and p_task <> all (v_tasks) then
    raise exception 'task "%" is not one that work queue "%" runs', p_task, p_queue using errcode = 'RW002',
      hint = 'Its spec.tasks: ' || rowlock.some(v_tasks) || '. Correct the name, or add the task there (the operator passes it on within seconds).';
  end if;
  if p_priority is null or p_priority not between -100 and 100 then
    raise exception 'priority % is outside -100..100', coalesce(p_priority::text, 'null') using errcode = 'RW002';
  end if;
  if jsonb_typeof(v_args) <> 'object' then
    raise exception 'args must be a JSON object, not a %', jsonb_typeof(v_args) using errcode = 'RW002', hint = 'A task is called with named arguments: {"name": value}.';
  end if;
  if octet_length(p_key) not between 1 and 2000 then
    raise exception 'p_key has % bytes, not 1 to 2000', octet_length(p_key) using errcode = 'RW002',
      hint = 'Null is a run without a key. Pass a digest of what is long, such as md5(text).';
  end if;
  perform rowlock.check_text('p_fairness_key', p_fairness_key, 8000, 'An empty text is a run without one; pass a digest of what is long.');
  if v_limits is not null then perform rowlock.check_limits(v_limits); end if;
  if p_due is not null and (not isfinite(p_due) or p_due not between v_now - interval '100 years' and v_now + interval '100 years') then
    raise exception 'p_due % is more than 100 years away', p_due using errcode = 'RW002', hint = 'Null means now. A run that nobody shall start yet is better enqueued then.';
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
revoke all on function rowlock.some, rowlock.refuse_queue, rowlock.expect_queue, rowlock.check_text, rowlock.check_limits, rowlock.enqueue_v1, rowlock.queue_id from public;
grant execute on function rowlock.enqueue_v1 to rowlock_client;

-- What keeps duties of an operator from their work, for `rowlock health`. Written where it changes, and once a minute
-- while it lasts; each operator has its own.
create table rowlock.duty_trouble(
  operator text not null, duty text not null,
  reason text not null, message text not null,
  since timestamptz not null, seen_at timestamptz not null default clock_timestamp(),
  primary key (operator, duty)
);
