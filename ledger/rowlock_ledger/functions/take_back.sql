-- Runs of these runners, or (p_slow) of any runner that is gone, by the verdict for class infra.
create or replace function rowlock.take_back(p_runners bigint[], p_max int, p_slow bool, p_careful bool) returns int
language plpgsql set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_run rowlock.active; v_n int := 0; v_failure jsonb;
begin
  for v_run in
    select a.* from rowlock.active a where a.claimed_at is not null and a.state = 'running'
       and case when p_slow then not exists (select from rowlock.runner x where x.id = a.runner and not x.dead)
                else a.runner = any(p_runners) end
     order by a.claimed_at limit p_max for no key update skip locked
  loop
    if v_n = 0 then
      -- Here too: workers that run elsewhere than in pods, a database whose operator is gone; nobody ever tells their
      -- ends.
      perform rowlock.lock_ends();
      delete from rowlock.lost where heard_at < clock_timestamp() - interval '1 h';
    end if;
    v_failure := rowlock.loss_of(v_run);
    if p_careful then perform rowlock.settle_carefully(v_run, 'failed', v_failure);
    else perform rowlock.settle(v_run, 'failed', v_failure);
    end if;
    v_n := v_n + 1;
  end loop;
  return v_n;
end $$;
revoke all on function rowlock.take_back from public;
