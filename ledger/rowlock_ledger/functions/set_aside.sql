-- Ends one run that a round, a sweep or a figure cannot digest: dead (unknown where an effect was begun), class input.
-- For a caller's own exception block: one run that is set aside never raises. False: there is no such run any more, or
-- somebody holds it (then the next pass meets it again).
create or replace function rowlock.set_aside(p_id uuid, p_reason text, p_message text) returns bool
language plpgsql set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_run rowlock.active; v_why text; v_message text := left(p_message, 1000);
begin
  select * into v_run from rowlock.active a where a.id = p_id for update skip locked;
  if not found then return false; end if;
  begin
    perform rowlock.end_run(v_run, case when v_run.effect is null then 'dead' else 'unknown' end, null,
      jsonb_strip_nulls(jsonb_build_object('class', 'input', 'reason', p_reason, 'message', v_message, 'attempt',
        v_run.attempt, 'effect', v_run.effect,
        'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))));
    return true;
  exception when others then v_why := sqlerrm;
  end;
  begin
    insert into rowlock.aside(id, reason, message, why, run)
      values (v_run.id, p_reason, v_message, v_why, to_jsonb(v_run))
      on conflict (id) do nothing;
    delete from rowlock.active where id = v_run.id;
  exception when others then
    begin                                                     -- it stays where it is, and no claim reads it
      update rowlock.active set due = 'infinity' where id = v_run.id and due is not null;
      return found;
    exception when others then return false;
    end;
  end;
  begin
    perform rowlock.tell(v_run, null, case when v_run.due is null then 0 else -1 end, v_run.due is null);
  exception when others then null;                            -- a counter is wrong by one
  end;
  return true;
end $$;
revoke all on function rowlock.set_aside from public;
