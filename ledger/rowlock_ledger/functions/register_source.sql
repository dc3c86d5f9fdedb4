-- Registers a RowSource and returns the id of its generation. Nothing is written where nothing changed.
create or replace function rowlock.register_source(
    p_name text, p_queue int, p_relation text, p_key text, p_spec jsonb
) returns int
language plpgsql set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_id int;
begin
  select s.id into v_id from rowlock.source s
   where s.name = p_name and s.retired_at is null and s.relation = p_relation and s.key_column = p_key
     and s.queue_id = p_queue and s.spec = p_spec;
  if found then return v_id; end if;
  perform from rowlock.source s where s.name = p_name order by s.id for update;   -- two operators: one after the other
  update rowlock.source s set relation = p_relation, key_column = p_key
   where s.name = p_name and s.retired_at is null and s.relation is null and s.spec->>'table' = p_spec->>'table';
  update rowlock.source s set retired_at = clock_timestamp()
   where s.name = p_name and s.retired_at is null and (s.relation, s.key_column) is distinct from (p_relation, p_key);
  insert into rowlock.source(name, queue_id, relation, key_column, spec)
    values (p_name, p_queue, p_relation, p_key, p_spec)
    on conflict (name, relation, key_column) do update
      set queue_id = excluded.queue_id, spec = excluded.spec, retired_at = null, changed_at = clock_timestamp()
    returning id into v_id;
  return v_id;
end $$;
revoke all on function rowlock.register_source from public;
