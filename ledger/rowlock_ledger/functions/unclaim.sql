-- One claim that never started goes back to pending, same attempt; one that somebody asked to cancel ends.
create or replace function rowlock.unclaim(p_run rowlock.active, p_now timestamptz) returns void
language plpgsql set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  if p_run.cancel is not null then
    perform rowlock.end_run(p_run, 'canceled', null, jsonb_build_object('reason', p_run.cancel));
  else
    update rowlock.active set state = 'pending', due = p_now, claimed_at = null where id = p_run.id;
    perform rowlock.tell(p_run, p_now, 1, true);
  end if;
end $$;
revoke all on function rowlock.unclaim from public;
