-- Arguments from a source's row as it is now. Null where it cannot be read (the row or the table is gone, somebody's
-- lock, a run without a row): then the run keeps those it had. The statement is the operator's own, with quoted names,
-- and reads what a claim reads. Who requeues has mended the row: the next attempt must get it as it is now, not as it
-- was when it failed.
create or replace function rowlock.read_row(p_source int, p_key text) returns jsonb
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set lock_timeout = '1s' set jit = off as $$
declare v_statement text; v_args jsonb;
begin
  select s.spec->>'read_row' into v_statement from rowlock.source s where s.id = p_source;
  if v_statement is null then return null; end if;
  execute v_statement into v_args using p_key;
  return v_args;
exception when others then
  return null;
end $$;
revoke all on function rowlock.read_row from public;
