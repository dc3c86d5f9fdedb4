-- For a user's own table: create trigger ... after insert on ... for each statement execute function rowlock.hint_v1()
create or replace function rowlock.hint_v1() returns trigger
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  perform rowlock.hint();
  return null;
end $$;
revoke all on function rowlock.hint_v1 from public;
grant execute on function rowlock.hint_v1 to rowlock_client;
