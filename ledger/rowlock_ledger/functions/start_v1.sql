-- START FENCE. Only a claimed run of this very attempt, only for a living runner, only once. The token is a runner
-- process's own; the attempt is the fencing number.
create or replace function rowlock.start_v1(
    p_ids uuid[], p_attempts int[], p_runner bigint, p_token uuid
) returns table(id uuid, attempt int, task text, args jsonb, queue text, source_key text, tries int)
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  if not exists (select from rowlock.runner x where x.id = p_runner and not x.dead) then return; end if;
  return query
  with begun as (
    update rowlock.active r set state = 'running', runner = p_runner, token = p_token, started_at = clock_timestamp()
      from unnest(p_ids, p_attempts) w(id, attempt)
     where r.id = w.id and r.attempt = w.attempt and r.state in ('queued', 'launching')
    returning r.id, r.attempt, r.task, r.args, r.queue_id, r.source_key, r.app_tries::int + r.site_tries as tries)
  select b.id, b.attempt, b.task, coalesce(b.args, (select p.args from rowlock.payload p where p.id = b.id)),
    (select q.name from rowlock.queue q where q.id = b.queue_id), b.source_key, b.tries
    from begun b;
end $$;
revoke all on function rowlock.start_v1 from public;
grant execute on function rowlock.start_v1 to rowlock_worker;
