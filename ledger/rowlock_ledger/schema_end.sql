-- What of the schema needs its functions: once, after them.

-- By the name alone: 1 us a finish, against 4 with a look at whether a table of that name is attached (partitions_v1
-- attaches one that is not).
alter table rowlock.done alter finished_at set default
  case when to_regclass('rowlock.done_' || to_char(clock_timestamp() at time zone 'UTC', 'YYYYMMDD')) is not null
       then clock_timestamp() else rowlock.nearest_end() end;
select rowlock.partitions_v1();
