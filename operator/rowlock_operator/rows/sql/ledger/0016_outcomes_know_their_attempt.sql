-- An outcome is written over the mark of its own attempt and over nothing else. So the outbox says whose outcome it is,
-- keeps what a table refuses at a time of its own (others pass it), and a run remembers what its row said before it was
-- marked.

alter table rowlock.active add column status_before text;       -- the row's status when it was taken
alter table rowlock.done add column status_before text;
alter table rowlock.done add column left_alone text             -- why the row's status was left alone; null = it was not
  check (left_alone in ('changed', 'gone', 'newer'));

alter table rowlock.outbox add column run uuid, add column attempt int,
  add column next_try timestamptz,                              -- not before; null = not tried yet
  add column tries int not null default 0,
  add column why text;                                          -- what keeps it from being written, where that is worth a word
-- All outcomes of one row, to write the newest alone.
create index outbox_row on rowlock.outbox(source_id, md5(source_key));

create or replace function rowlock.end_run(r rowlock.active, p_state text, p_result jsonb, p_failure jsonb) returns void language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
begin
  delete from rowlock.active where id = r.id;
  if r.cancel is not null then delete from rowlock.cancel_note where runner = r.runner and id = r.id; end if;
  insert into rowlock.done(id, queue_id, attempt, source_id, source_key, state, priority, fairness_key, limits, write_back, task, args, infra_tries, app_tries, site_tries,
                           effect, progress, started_at, created_at, result, failure, status_before)
    values (r.id, r.queue_id, r.attempt, r.source_id, r.source_key, p_state, r.priority, r.fairness_key, r.limits, r.write_back, r.task, r.args, r.infra_tries, r.app_tries, r.site_tries,
            r.effect, r.progress, r.started_at, r.created_at, p_result, p_failure, r.status_before);
  if r.due is not null then perform rowlock.tell(r, null, -1, false);
  elsif r.limits is not null then perform rowlock.tell(r, null, 0, true);
  end if;
  if r.write_back then
    insert into rowlock.outbox(source_id, source_key, state, error, run, attempt)
      values (r.source_id, r.source_key, p_state, case when p_state <> 'succeeded' then left(coalesce(p_failure->>'message', p_failure->>'reason', p_state), 2000) end, r.id, r.attempt);
  end if;
end $$;

-- FINISH FENCE. An id that does not come back was stale: lapsed and given to another runner, canceled, or finished
-- before.
create or replace function rowlock.finish_v1(p_ids uuid[], p_attempts int[], p_token uuid, p_outcomes text[], p_results jsonb[], p_failures jsonb[])
returns table(id uuid, state text) language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare r rowlock.active; i int;
begin
  return query
  with w as (select * from unnest(p_ids, p_attempts, p_outcomes, p_results) as w(id, attempt, outcome, result) where w.outcome = 'succeeded'),
  gone as (
    delete from rowlock.active a using w where a.id = w.id and a.attempt = w.attempt and a.token = p_token and a.state = 'running' returning a.*, w.result),
  history as (
    insert into rowlock.done(id, queue_id, attempt, source_id, source_key, state, priority, fairness_key, limits, write_back, task, args, infra_tries, app_tries, site_tries,
                             effect, progress, started_at, created_at, result, status_before)
      select g.id, g.queue_id, g.attempt, g.source_id, g.source_key, 'succeeded', g.priority, g.fairness_key, g.limits, g.write_back, g.task, g.args, g.infra_tries, g.app_tries, g.site_tries,
             null, g.progress, g.started_at, g.created_at, g.result, g.status_before from gone g),
  event as (
    insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, released)
      select g.lane, min(g.queue_id), min(g.priority), min(g.fairness_key), max(g.limits), count(*) from gone g where g.limits is not null group by g.lane),
  notes as (
    delete from rowlock.cancel_note c using gone g where g.cancel is not null and c.runner = g.runner and c.id = g.id),
  status as (
    insert into rowlock.outbox(source_id, source_key, state, run, attempt) select g.source_id, g.source_key, 'succeeded', g.id, g.attempt from gone g where g.write_back)
  select g.id, 'succeeded'::text from gone g;
  for i in 1 .. coalesce(array_length(p_ids, 1), 0) loop
    if p_outcomes[i] <> 'succeeded' then
      if p_outcomes[i] not in ('failed', 'canceled', 'unknown') then
        raise exception 'outcome "%" is not one of succeeded, failed, canceled, unknown', p_outcomes[i] using errcode = 'RW002';
      end if;
      select * into r from rowlock.active a where a.id = p_ids[i] and a.attempt = p_attempts[i] and a.token = p_token and a.state = 'running' for update;
      if found then
        id := p_ids[i];
        state := rowlock.settle(r, p_outcomes[i], p_failures[i]);
        return next;
      end if;
    end if;
  end loop;
end $$;

-- Ended runs that did not succeed go back to pending, as the next attempt, with fresh budgets and a fresh look at their
-- row. A key that is active again meanwhile stays as it is.
create or replace function rowlock.requeue_v1(p_ids uuid[]) returns setof uuid language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare d rowlock.done; r rowlock.active; v_now timestamptz; v_args jsonb;
begin
  for d in select * from rowlock.done where id = any(p_ids) and state in ('dead', 'unknown', 'canceled') order by id for update loop
    v_now := clock_timestamp();
    v_args := rowlock.read_row(d.source_id, d.source_key);
    insert into rowlock.active as a (id, lane, due, queue_id, attempt, source_id, source_key, priority, fairness_key, limits, write_back, task, args, failure, created_at, status_before)
      values (d.id, rowlock.lane_of(d.queue_id, d.priority, d.fairness_key, d.limits), v_now, d.queue_id, d.attempt + 1, d.source_id, d.source_key, d.priority, d.fairness_key,
              d.limits, d.write_back, d.task, case when v_args is null then d.args when pg_column_size(v_args) <= 1000 then v_args end, d.failure, d.created_at, d.status_before)
      on conflict (source_id, source_key) do nothing returning * into r;
    if found then
      if pg_column_size(v_args) > 1000 then
        insert into rowlock.payload(id, args) values (d.id, v_args) on conflict (id) do update set args = excluded.args;
      end if;
      delete from rowlock.done where id = d.id;
      perform rowlock.tell(r, v_now, 1, false);
      if d.write_back then
        insert into rowlock.outbox(source_id, source_key, state, run, attempt) values (d.source_id, d.source_key, 'claimed', r.id, r.attempt);
      end if;
      return next d.id;
    end if;
  end loop;
end $$;

-- The oldest outcomes of one source that were not tried yet (p_again: those that were and are due), and with each all
-- others of the same row, in order. The caller keeps the first ones locked.
create function rowlock.outbox_take_v1(p_source int, p_max int, p_again bool)
returns table(id bigint, source_key text, state text, error text, run uuid, attempt int)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  with head as materialized (
    select o.source_key from rowlock.outbox o
     where o.source_id = p_source and case when p_again then o.next_try <= clock_timestamp() else o.next_try is null end
     order by o.id limit p_max for update skip locked)
  select o.id, o.source_key, o.state, o.error, o.run, o.attempt
    from (select distinct h.source_key from head h) k join rowlock.outbox o
      on o.source_id = p_source and md5(o.source_key) = md5(k.source_key) and o.source_key = k.source_key order by o.id;
end $$;

-- Of these rows those whose mark may be another's by now: `active` = of another run, or a later attempt; else a newer
-- outcome has come. To be asked once the rows are locked, in a statement of its own: a claim marks and inserts in one
-- transaction, so either it is seen here or the row was not ours to lock.
create function rowlock.outbox_newer_v1(p_source int, p_keys text[], p_runs uuid[], p_attempts int[], p_last bigint[]) returns table(source_key text, active bool)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  select n.key, n.active from (
    select k.key, exists (select from rowlock.active a where a.source_id = p_source and a.source_key = k.key and (a.id <> k.run or a.attempt > k.attempt)) as active,
           exists (select from rowlock.outbox o where o.source_id = p_source and md5(o.source_key) = md5(k.key) and o.source_key = k.key and o.id > k.last) as newer
      from unnest(p_keys, p_runs, p_attempts, p_last) k(key, run, attempt, last)) n
   where n.active or n.newer;
end $$;

-- These outcomes are dealt with; the rows of p_runs were left alone, and why.
create function rowlock.outbox_settle_v1(p_ids bigint[], p_runs uuid[], p_whys text[]) returns void
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
begin
  delete from rowlock.outbox where id = any(p_ids);
  if array_length(p_runs, 1) > 0 then
    update rowlock.done d set left_alone = w.why from unnest(p_runs, p_whys) w(run, why) where d.id = w.run;
  end if;
end $$;

-- These cannot be written now: others pass them, and each is tried again at its time (seconds, doubled with every try).
-- p_quiet tries are not spoken of.
create function rowlock.outbox_hold_v1(p_ids bigint[], p_why text, p_first float8, p_longest float8, p_quiet int) returns void
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
begin
  update rowlock.outbox set tries = tries + 1, why = case when tries >= p_quiet then left(p_why, 500) end,
      next_try = clock_timestamp() + make_interval(secs => least(p_longest, p_first * 2.0 ^ least(tries, 30)))
    where id = any(p_ids);
end $$;
revoke all on function rowlock.outbox_take_v1, rowlock.outbox_newer_v1, rowlock.outbox_settle_v1, rowlock.outbox_hold_v1 from public;
