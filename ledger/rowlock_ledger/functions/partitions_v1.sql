-- Partitions of `done` a week ahead (UTC days); returns how many it made. Each is made as a table of its own and
-- attached then, which readers and writers of the history do not notice; what somebody's lock forbids at this moment is
-- left for the next call.
create or replace function rowlock.partitions_v1(p_days int default 8) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set lock_timeout = '100ms' as $$
declare v_day date; v_n int := 0; v_name text;
begin
  for i in -1 .. p_days loop
    v_day := (clock_timestamp() at time zone 'UTC')::date + i;
    v_name := 'done_' || to_char(v_day, 'YYYYMMDD');
    if pg_partition_root(to_regclass('rowlock.' || v_name)) is null then
      begin
        if to_regclass('rowlock.' || v_name) is null then
          execute format('create table rowlock.%I (like rowlock.done including all)', v_name);
        end if;
        execute format('alter table rowlock.%I replica identity full', v_name);
        execute format('alter table rowlock.done attach partition rowlock.%I for values from (%L) to (%L)', v_name,
          v_day::text || ' 00:00:00+00', (v_day + 1)::text || ' 00:00:00+00');
        v_n := v_n + 1;
      exception
        when lock_not_available or deadlock_detected then return v_n;
        when duplicate_table or unique_violation then null;     -- another operator makes it
      end;
    end if;
  end loop;
  return v_n;
end $$;
revoke all on function rowlock.partitions_v1 from public;
