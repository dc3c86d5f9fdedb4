-- These outcomes are dealt with; the rows of p_runs were left alone, and why.
create or replace function rowlock.outbox_settle_v1(p_ids bigint[], p_runs uuid[], p_whys text[]) returns void
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  delete from rowlock.outbox where id = any(p_ids);
  if array_length(p_runs, 1) > 0 then
    update rowlock.done d set left_alone = w.why from unnest(p_runs, p_whys) w(run, why) where d.id = w.run;
  end if;
end $$;
revoke all on function rowlock.outbox_settle_v1 from public;
