-- The generation that a name means; where its RowSource is gone, the last one.
create or replace function rowlock.source_id(p_name text) returns int
language plpgsql stable set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_id int;
begin
  select s.id into v_id from rowlock.source s where s.name = p_name order by s.retired_at desc nulls first, s.id desc
    limit 1;
  if v_id is null then
    raise exception 'row source "%" is not known to the ledger of this database', p_name
      using errcode = 'RW001', hint = 'Names are namespace/name. Known here: '
        || coalesce((select string_agg(distinct name, ', ' order by name) from rowlock.source), 'none') || '.';
  end if;
  return v_id;
end $$;
revoke all on function rowlock.source_id from public;
