-- partitions: how many days ahead the history has a place for what ends then (0 = only today).
select coalesce(max(days), -1) as days_ahead from (
  select to_date(right(c.relname, 8), 'YYYYMMDD') - (clock_timestamp() at time zone 'UTC')::date as days
    from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'rowlock.done'::regclass) x
