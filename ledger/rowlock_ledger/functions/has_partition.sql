-- Whether the history has a place for what ends on that day (UTC): names alone are not enough, a table may be detached.
create or replace function rowlock.has_partition(p_day timestamptz) returns bool
language sql stable as $$
  select pg_partition_root(to_regclass('rowlock.done_' || to_char(p_day at time zone 'UTC', 'YYYYMMDD'))) is not null
$$;
revoke all on function rowlock.has_partition from public;
