-- settle for a sweep: a run whose verdict cannot be reckoned (spoilt budgets of its queue, an event that cannot be
-- told) is set aside. As in a round, only after the quick way failed has each run an exception block of its own.
create or replace function rowlock.settle_carefully(p_run rowlock.active, p_outcome text, p_failure jsonb) returns void
language plpgsql set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  perform rowlock.settle(p_run, p_outcome, p_failure);
exception when others then
  if not rowlock.is_indigestible(sqlstate) then raise; end if;
  perform rowlock.set_aside(p_run.id, 'RunRefused',
    format('Its worker was lost, and it cannot be given back: %s. Requeue it once that is mended.',
      rtrim(sqlerrm, '.')));
end $$;
revoke all on function rowlock.settle_carefully from public;
