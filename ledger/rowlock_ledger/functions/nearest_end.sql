-- The moment nearest to now that the history has a place for: a clock that jumped, or an operator that was away for a
-- week, must not keep a run from ending.
create or replace function rowlock.nearest_end() returns timestamptz
language plpgsql set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_now timestamptz := clock_timestamp(); v_today text := to_char(v_now at time zone 'UTC', 'YYYYMMDD');
v_part text;
begin
  select c.relname into v_part from pg_inherits i join pg_class c on c.oid = i.inhrelid
   where i.inhparent = 'rowlock.done'::regclass and c.relname ~ '^done_[0-9]{8}$'
   order by c.relname > 'done_' || v_today, abs(right(c.relname, 8)::int - v_today::int) limit 1;
  if v_part is null then return v_now; end if;
  return case when v_part > 'done_' || v_today then to_timestamp(right(v_part, 8) || ' +00', 'YYYYMMDD TZH')
              else to_timestamp(right(v_part, 8) || ' +00',
                'YYYYMMDD TZH') + interval '1 day' - interval '1 microsecond' end;
end $$;
revoke all on function rowlock.nearest_end from public;
