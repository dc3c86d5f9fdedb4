-- The effect is known to have happened and is recorded: the run may be retried again without doing it twice, its task
-- looks at progress.
create or replace function rowlock.end_effect_v1(p_id uuid, p_attempt int, p_token uuid, p_result jsonb) returns bool
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  update rowlock.active set effect = null, progress = coalesce(progress, '{}') || jsonb_build_object('effect', p_result)
    where id = p_id and attempt = p_attempt and token = p_token and state = 'running';
  return found;
end $$;
revoke all on function rowlock.end_effect_v1 from public;
grant execute on function rowlock.end_effect_v1 to rowlock_worker;
