-- A RowSource made anew for another table is another source: runs, outcomes, remembered keys and limits all carry
-- rowlock.source.id, so that id is the generation: one for each (name, table, key). The same three again find their old
-- id, and what was done is not done again.
alter table rowlock.source
  drop constraint source_name_key,
  add column relation text,                   -- the table, quoted where it must be; null = registered before generations were told apart
  add column key_column text,
  add column retired_at timestamptz,          -- another generation took its place, or its RowSource is gone; null = the one that its name means
  add column trouble text,                    -- why outcomes of one that nobody feeds cannot be written; null = they can, or there are none
  add column forgets int not null default 0;  -- grows where remembered keys were forgotten: whoever has a cursor begins anew
create unique index source_current on rowlock.source(name) where retired_at is null;
create unique index source_generation on rowlock.source(name, relation, key_column);

-- Registers a RowSource and returns the id of its generation. Nothing is written where nothing changed.
create function rowlock.register_source(p_name text, p_queue int, p_relation text, p_key text, p_spec jsonb) returns int
language plpgsql set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_id int;
begin
  select s.id into v_id from rowlock.source s
   where s.name = p_name and s.retired_at is null and s.relation = p_relation and s.key_column = p_key and s.queue_id = p_queue and s.spec = p_spec;
  if found then return v_id; end if;
  perform from rowlock.source s where s.name = p_name order by s.id for update;   -- two operators: one after the other
  update rowlock.source s set relation = p_relation, key_column = p_key
   where s.name = p_name and s.retired_at is null and s.relation is null and s.spec->>'table' = p_spec->>'table';
  update rowlock.source s set retired_at = clock_timestamp()
   where s.name = p_name and s.retired_at is null and (s.relation, s.key_column) is distinct from (p_relation, p_key);
  insert into rowlock.source(name, queue_id, relation, key_column, spec) values (p_name, p_queue, p_relation, p_key, p_spec)
    on conflict (name, relation, key_column) do update
      set queue_id = excluded.queue_id, spec = excluded.spec, retired_at = null, changed_at = clock_timestamp()
    returning id into v_id;
  return v_id;
end $$;
revoke all on function rowlock.register_source from public;

-- The generation that a name means; where its RowSource is gone, the last one.
create function rowlock.source_id(p_name text) returns int language plpgsql stable set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_id int;
begin
  select s.id into v_id from rowlock.source s where s.name = p_name order by s.retired_at desc nulls first, s.id desc limit 1;
  if v_id is null then
    raise exception 'row source "%" is not known to the ledger of this database', p_name
      using errcode = 'RW001', hint = 'Names are namespace/name. Known here: ' || coalesce((select string_agg(distinct name, ', ' order by name) from rowlock.source), 'none') || '.';
  end if;
  return v_id;
end $$;
revoke all on function rowlock.source_id from public;

-- How many keys of a source without a status column are remembered as taken; null = of all keys.
create function rowlock.remembered_keys_v1(p_source text, p_keys text[] default null)
returns table(source_table text, has_status_column bool, remembered bigint)
language plpgsql stable security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_id int := rowlock.source_id(p_source);
begin
  return query
    select coalesce(s.relation, s.spec->>'table'), coalesce(s.spec->'plan'->>'status_column', '') <> '',
           case when p_keys is null then (select count(*) from rowlock.seen n where n.source_id = v_id)
                else (select count(*) from rowlock.seen n where n.source_id = v_id and n.key = any(p_keys)) end
      from rowlock.source s where s.id = v_id;
end $$;

-- Forgets that keys were taken, at most p_max of them (null = all keys), and returns how many: their rows are taken
-- again where they are pending. A run of such a key that is under way is left alone; its row is taken again after it.
create function rowlock.forget_keys_v1(p_source text, p_keys text[] default null, p_max int default 10000) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_id int := rowlock.source_id(p_source); v_n int;
begin
  if p_keys is null then
    delete from rowlock.seen n using (select key from rowlock.seen where source_id = v_id limit p_max) x where n.source_id = v_id and n.key = x.key;
  else
    delete from rowlock.seen n where n.source_id = v_id and n.key in (select k from unnest(p_keys) k limit p_max);
  end if;
  get diagnostics v_n = row_count;
  if v_n > 0 then update rowlock.source set forgets = forgets + 1 where id = v_id; end if;
  return v_n;
end $$;
revoke all on function rowlock.remembered_keys_v1, rowlock.forget_keys_v1 from public;
grant execute on function rowlock.remembered_keys_v1, rowlock.forget_keys_v1 to rowlock_client;
