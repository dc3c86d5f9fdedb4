-- Claimed but never started, and known to be in no Redis list or to have no kube job: pending again, same attempt.
create or replace function rowlock.unqueue_v1(p_ids uuid[], p_attempts int[]) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_run rowlock.active; v_n int; v_now timestamptz := clock_timestamp(); v_careful bool := false;
begin
  loop
    begin
      v_n := 0;
      for v_run in select a.* from rowlock.active a join unnest(p_ids, p_attempts) w(id, attempt)
                  on a.id = w.id and a.attempt = w.attempt
                where a.state in ('queued', 'launching') order by a.id for no key update of a loop
        if v_careful then
          begin
            perform rowlock.unclaim(v_run, v_now);
          exception when others then
            if not rowlock.is_indigestible(sqlstate) then raise; end if;
            perform rowlock.set_aside(v_run.id, 'RunRefused',
              format('It cannot be given back: %s.', rtrim(sqlerrm, '.')));
          end;
        else
          perform rowlock.unclaim(v_run, v_now);
        end if;
        v_n := v_n + 1;
      end loop;
      return v_n;
    exception when others then
      if v_careful or not rowlock.is_indigestible(sqlstate) then raise; end if;
      v_careful := true;
    end;
  end loop;
end $$;
revoke all on function rowlock.unqueue_v1 from public;
