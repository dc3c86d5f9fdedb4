-- One run that somebody asked to end: at once, or, where it runs, by a note for its runner. False: it was asked before.
create or replace function rowlock.end_on_request(p_run rowlock.active, p_reason text) returns bool
language plpgsql set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  if p_run.state <> 'running' then
    perform rowlock.end_run(p_run, 'canceled', null, jsonb_build_object('class', 'app', 'reason', p_reason));
  elsif p_run.cancel is null then
    update rowlock.active set cancel = p_reason where id = p_run.id;
    insert into rowlock.cancel_note(runner, id) values (p_run.runner, p_run.id) on conflict do nothing;
  else
    return false;
  end if;
  return true;
end $$;
revoke all on function rowlock.end_on_request from public;
