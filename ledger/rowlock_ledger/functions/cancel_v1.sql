-- Waiting and claimed runs end at once. Running ones are told at their runner's next renewal; contract Exit: the
-- operator deletes the kube job.
create or replace function rowlock.cancel_v1(p_ids uuid[], p_reason text default 'Canceled') returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_run rowlock.active; v_n int; v_careful bool := false;
begin
  loop
    begin
      v_n := 0;
      for v_run in select * from rowlock.active where id = any(p_ids) order by id for update loop
        if v_careful then
          begin
            v_n := v_n + rowlock.end_on_request(v_run, p_reason)::int;
          exception when others then
            if not rowlock.is_indigestible(sqlstate) then raise; end if;
            v_n := v_n + rowlock.set_aside(v_run.id, 'RunRefused',
              format('It cannot be canceled: %s.', rtrim(sqlerrm, '.')))::int;
          end;
        else
          v_n := v_n + rowlock.end_on_request(v_run, p_reason)::int;
        end if;
      end loop;
      return v_n;
    exception when others then
      if v_careful or not rowlock.is_indigestible(sqlstate) then raise; end if;
      v_careful := true;
    end;
  end loop;
end $$;
revoke all on function rowlock.cancel_v1 from public;
grant execute on function rowlock.cancel_v1 to rowlock_client;
