-- Duties: every state that is not terminal has one that ends it.

-- Runs of lapsed runners, by the verdict for class infra. p_slow looks at every running run whose runner is gone (a
-- start that raced with a sweep).
create function rowlock.sweep_v1(p_max int default 1000, p_slow bool default false) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare r rowlock.active; v_runners bigint[]; v_n int := 0;
begin
  update rowlock.runner set dead = true where lease_until < clock_timestamp() and not dead;
  select array_agg(id) into v_runners from rowlock.runner where dead;
  if v_runners is null and not p_slow then return 0; end if;
  for r in
    select a.* from rowlock.active a where a.claimed_at is not null and a.state = 'running'
       and case when p_slow then not exists (select from rowlock.runner x where x.id = a.runner and not x.dead) else a.runner = any(v_runners) end
     order by a.claimed_at limit p_max for no key update skip locked
  loop
    perform rowlock.settle(r, 'failed', jsonb_build_object('class', 'infra', 'reason', 'RunnerLost',
      'message', 'the worker that ran this attempt stopped renewing its lease (killed, evicted, or cut off)'));
    v_n := v_n + 1;
  end loop;
  if v_n < p_max and v_runners is not null then
    delete from rowlock.cancel_note where runner = any(v_runners);
    delete from rowlock.runner where id = any(v_runners) and dead;
  end if;
  return v_n;
end $$;

-- An orderly end of a runner: what it still holds is retried at once as class infra.
create function rowlock.goodbye_v1(p_runner bigint) returns void language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  if p_runner > 0 then
    update rowlock.runner set dead = true, lease_until = '-infinity' where id = p_runner;
    perform rowlock.sweep_v1();
  end if;
end $$;

-- Claimed but never started, and known to be in no Redis list or to have no kube job: pending again, same attempt.
create function rowlock.unqueue_v1(p_ids uuid[], p_attempts int[]) returns int language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare r rowlock.active; v_n int := 0; v_now timestamptz := clock_timestamp();
begin
  for r in select a.* from rowlock.active a join unnest(p_ids, p_attempts) w(id, attempt) on a.id = w.id and a.attempt = w.attempt
            where a.state in ('queued', 'launching') order by a.id for no key update of a loop
    if r.cancel is not null then
      perform rowlock.end_run(r, 'canceled', null, jsonb_build_object('reason', r.cancel));
    else
      update rowlock.active set state = 'pending', due = v_now, claimed_at = null where id = r.id;
      perform rowlock.tell(r, v_now, 1, true);
    end if;
    v_n := v_n + 1;
  end loop;
  return v_n;
end $$;

-- Waiting and claimed runs end at once. Running ones are told at their runner's next renewal; contract Exit: the
-- operator deletes the kube job.
create function rowlock.cancel_v1(p_ids uuid[], p_reason text default 'Canceled') returns int language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare r rowlock.active; v_n int := 0;
begin
  for r in select * from rowlock.active where id = any(p_ids) order by id for update loop
    if r.state = 'running' then
      if r.cancel is null then
        update rowlock.active set cancel = p_reason where id = r.id;
        insert into rowlock.cancel_note(runner, id) values (r.runner, r.id) on conflict do nothing;
        v_n := v_n + 1;
      end if;
    else
      perform rowlock.end_run(r, 'canceled', null, jsonb_build_object('class', 'app', 'reason', p_reason));
      v_n := v_n + 1;
    end if;
  end loop;
  return v_n;
end $$;

-- Ended runs that did not succeed go back to pending, as the next attempt, with fresh budgets. A key that is active
-- again meanwhile stays as it is.
create function rowlock.requeue_v1(p_ids uuid[]) returns setof uuid language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare d rowlock.done; r rowlock.active; v_now timestamptz;
begin
  for d in select * from rowlock.done where id = any(p_ids) and state in ('dead', 'unknown', 'canceled') order by id for update loop
    v_now := clock_timestamp();
    insert into rowlock.active as a (id, lane, due, queue_id, attempt, source_id, source_key, priority, fairness_key, limits, write_back, task, args, failure, created_at)
      values (d.id, rowlock.lane_of(d.queue_id, d.priority, d.fairness_key, d.limits), v_now, d.queue_id, d.attempt + 1, d.source_id, d.source_key, d.priority, d.fairness_key,
              d.limits, d.write_back, d.task, d.args, d.failure, d.created_at)
      on conflict (source_id, source_key) do nothing returning * into r;
    if found then
      delete from rowlock.done where id = d.id;
      perform rowlock.tell(r, v_now, 1, false);
      if d.write_back then insert into rowlock.outbox(source_id, source_key, state) values (d.source_id, d.source_key, 'claimed'); end if;
      return next d.id;
    end if;
  end loop;
end $$;

-- Depth of every queue from its lanes: exact, without counting runs. `waiting` = due now or later, `ready` = in lanes
-- that are not blocked by a limit.
create function rowlock.depth_v1() returns table(queue_id int, queue text, waiting bigint, ready bigint, blocked bigint, queued bigint, launching bigint, running bigint, oldest timestamptz)
language sql stable security definer set search_path = rowlock, pg_catalog, pg_temp as $$
  select q.id, q.name, coalesce(l.waiting, 0), coalesce(l.ready, 0), coalesce(l.blocked, 0), coalesce(a.queued, 0), coalesce(a.launching, 0), coalesce(a.running, 0), l.oldest
    from rowlock.queue q
    left join (select queue_id, sum(greatest(pending, 0)) waiting, sum(greatest(pending, 0)) filter (where blocked_by is null and at <= clock_timestamp()) ready,
                      sum(greatest(pending, 0)) filter (where blocked_by is not null) blocked, min(floor) filter (where pending > 0 and floor > '-infinity') oldest
                 from rowlock.lane group by queue_id) l on l.queue_id = q.id
    left join (select queue_id, count(*) filter (where state = 'queued') queued, count(*) filter (where state = 'launching') launching, count(*) filter (where state = 'running') running
                 from rowlock.active where claimed_at is not null group by queue_id) a on a.queue_id = q.id
$$;

-- Partitions of `done` a week ahead (UTC days), so that no finish ever meets a missing one.
create function rowlock.partitions_v1(p_days int default 8) returns int language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_day date; v_n int := 0; v_name text;
begin
  for i in -1 .. p_days loop
    v_day := (clock_timestamp() at time zone 'UTC')::date + i;
    v_name := 'done_' || to_char(v_day, 'YYYYMMDD');
    if to_regclass('rowlock.' || v_name) is null then
      execute format('create table if not exists rowlock.%I partition of rowlock.done for values from (%L) to (%L)', v_name, v_day::text || ' 00:00:00+00', (v_day + 1)::text || ' 00:00:00+00');
      v_n := v_n + 1;
    end if;
  end loop;
  return v_n;
end $$;
select rowlock.partitions_v1();

-- Retention: deletes what is past its queue's history, in batches; drops partitions that are empty and past.
create function rowlock.retain_v1(p_max int default 5000) returns int language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_n int; v_part text; v_empty bool;
begin
  with old as (
    select d.id, d.finished_at from rowlock.done d join rowlock.queue q on q.id = d.queue_id
     where d.finished_at < clock_timestamp() - make_interval(secs => case when d.state in ('dead', 'unknown') then q.dead_seconds else q.succeeded_seconds end) limit p_max),
  gone as (delete from rowlock.done d using old where d.id = old.id and d.finished_at = old.finished_at returning d.id),
  args as (delete from rowlock.payload p using gone where p.id = gone.id)
  select count(*) into v_n from gone;
  for v_part in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'rowlock.done'::regclass
       and c.relname < 'done_' || to_char((clock_timestamp() at time zone 'UTC')::date - 1, 'YYYYMMDD') order by 1 limit 5
  loop
    execute format('select not exists (select from rowlock.%I)', v_part) into v_empty;
    if v_empty then
      begin
        perform set_config('lock_timeout', '1s', true);      -- a drop waits for readers, and every finish would wait behind it
        execute format('drop table rowlock.%I', v_part);
      exception when lock_not_available then null;            -- next time
      end;
    end if;
  end loop;
  return v_n;
end $$;

-- Lanes asleep without a run for a day, and buckets nobody uses, are forgotten.
create function rowlock.forget_v1() returns int language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_n int;
begin
  if not rowlock.claimer_lock() then return 0; end if;
  delete from rowlock.lane l where l.at is null and l.blocked_by is null and l.pending = 0 and l.floor < clock_timestamp() - interval '1 day'
    and not exists (select from rowlock.active a where a.lane = l.id) and not exists (select from rowlock.inbox i where i.lane = l.id);
  get diagnostics v_n = row_count;
  delete from rowlock.bucket b where b.running = 0 and not b.has_waiters and b.tokens_at < clock_timestamp() - interval '1 day' and not exists (select from rowlock.lane l where b.id = any(l.buckets));
  return v_n;
end $$;
