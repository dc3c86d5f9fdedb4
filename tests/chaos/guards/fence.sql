-- The fences without their guards: a start hands out every copy of an id, a finish counts whoever says it.
create or replace function rowlock.start_v1(p_ids uuid[], p_attempts int[], p_runner bigint, p_token uuid)
returns table(id uuid, attempt int, task text, args jsonb, queue text, source_key text, tries int)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  with begun as (
    update rowlock.active r set state = 'running', runner = p_runner, token = p_token, started_at = clock_timestamp(), due = null,
           claimed_at = coalesce(r.claimed_at, clock_timestamp())
      from unnest(p_ids, p_attempts) w(id, attempt) where r.id = w.id
    returning r.id, w.attempt, r.task, r.args, r.queue_id, r.source_key)
  select b.id, b.attempt, b.task, b.args, (select q.name from rowlock.queue q where q.id = b.queue_id), b.source_key, 0 from begun b;
end $$;

alter function rowlock.finish_v1(uuid[], int[], uuid, text[], jsonb[], jsonb[]) rename to guarded_finish;
create function rowlock.finish_v1(p_ids uuid[], p_attempts int[], p_token uuid, p_outcomes text[], p_results jsonb[], p_failures jsonb[])
returns table(id uuid, state text) language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
#variable_conflict use_column
declare v_attempts int[]; v_token uuid;
begin
  -- Also where the attempt was given up and the next one only waits.
  update rowlock.active r set state = 'running', token = p_token, runner = 0, due = null,
         claimed_at = coalesce(r.claimed_at, clock_timestamp()), started_at = clock_timestamp()
   where r.id = any(p_ids) and r.state <> 'running';
  select array_agg(coalesce(r.attempt, w.attempt) order by w.n), min(coalesce(r.token, p_token)::text)::uuid
    into v_attempts, v_token from unnest(p_ids, p_attempts) with ordinality w(id, attempt, n) left join rowlock.active r on r.id = w.id;
  return query select f.id, f.state from rowlock.guarded_finish(p_ids, v_attempts, coalesce(v_token, p_token), p_outcomes, p_results, p_failures) f;
end $$;
