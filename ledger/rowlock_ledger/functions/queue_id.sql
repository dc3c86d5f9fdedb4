-- The id of the queue of that name (namespace/name). Raises RW001 where there is none.
create or replace function rowlock.queue_id(p_name text) returns int
language plpgsql stable set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_id int;
begin
  select id into v_id from rowlock.queue where name = p_name;
  if v_id is null then perform rowlock.refuse_queue(p_name); end if;
  return v_id;
end $$;
revoke all on function rowlock.queue_id from public;
