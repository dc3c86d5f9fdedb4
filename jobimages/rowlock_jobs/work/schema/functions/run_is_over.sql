-- Whether a run that held something has let go of it by ending or by being lost: the ledger knows within seconds. Runs
-- that the ledger does not know count as alive.
create or replace function monitoring.run_is_over(p_run uuid) returns bool
language plpgsql stable security definer set search_path = public, pg_catalog, pg_temp as $$
begin
  -- not in language sql: the ledger may be made later than this
  return exists (select from rowlock.run r where r.id = p_run and r.state <> 'running');
end $$;
revoke all on function monitoring.run_is_over from public;
