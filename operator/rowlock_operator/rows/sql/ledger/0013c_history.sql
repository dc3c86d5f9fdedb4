-- The history's partitions: made and dropped without anybody waiting for it, known to replication, and a finish never
-- fails for lack of one.

-- A publication of all tables refuses updates and deletes of a table without an identity. `full` costs nothing while no
-- change is decoded, and no index.
alter table rowlock.inbox replica identity full;
alter table rowlock.done replica identity full;
do $$
declare v_part regclass;
begin
  for v_part in select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'rowlock.done'::regclass loop
    execute format('alter table %s replica identity full', v_part);
  end loop;
end $$;

-- Whether the history has a place for what ends on that day (UTC): names alone are not enough, a table may be detached.
create function rowlock.has_partition(p_day timestamptz) returns bool language sql stable as $$
  select pg_partition_root(to_regclass('rowlock.done_' || to_char(p_day at time zone 'UTC', 'YYYYMMDD'))) is not null
$$;

-- For how many days after today (UTC) the history has a place, without a gap; -1: not even for today.
create function rowlock.history_days_ahead(p_most int default 8) returns int language sql stable as $$
  select coalesce(min(i) filter (where not rowlock.has_partition(clock_timestamp() + make_interval(days => i))), p_most + 1) - 1 from generate_series(0, p_most) i
$$;

-- The moment nearest to now that the history has a place for: a clock that jumped, or an operator that was away for a
-- week, must not keep a run from ending.
create function rowlock.nearest_end() returns timestamptz language plpgsql volatile set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_now timestamptz := clock_timestamp(); v_today text := to_char(v_now at time zone 'UTC', 'YYYYMMDD'); v_part text;
begin
  select c.relname into v_part from pg_inherits i join pg_class c on c.oid = i.inhrelid
   where i.inhparent = 'rowlock.done'::regclass and c.relname ~ '^done_[0-9]{8}$'
   order by c.relname > 'done_' || v_today, abs(right(c.relname, 8)::int - v_today::int) limit 1;
  if v_part is null then return v_now; end if;
  return case when v_part > 'done_' || v_today then to_timestamp(right(v_part, 8) || ' +00', 'YYYYMMDD TZH')
              else to_timestamp(right(v_part, 8) || ' +00', 'YYYYMMDD TZH') + interval '1 day' - interval '1 microsecond' end;
end $$;
-- By the name alone: 1 us a finish, against 4 with a look at whether a table of that name is attached (partitions_v1
-- attaches one that is not).
alter table rowlock.done alter finished_at set default
  case when to_regclass('rowlock.done_' || to_char(clock_timestamp() at time zone 'UTC', 'YYYYMMDD')) is not null then clock_timestamp() else rowlock.nearest_end() end;

-- Partitions of `done` a week ahead (UTC days); returns how many it made. Each is made as a table of its own and
-- attached then, which readers and writers of the history do not notice; what somebody's lock forbids at this moment is
-- left for the next call.
create or replace function rowlock.partitions_v1(p_days int default 8) returns int language plpgsql security definer
  set search_path = rowlock, pg_catalog, pg_temp set lock_timeout = '100ms' as $$
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
        execute format('alter table rowlock.done attach partition rowlock.%I for values from (%L) to (%L)', v_name, v_day::text || ' 00:00:00+00', (v_day + 1)::text || ' 00:00:00+00');
        v_n := v_n + 1;
      exception
        when lock_not_available or deadlock_detected then return v_n;
        when duplicate_table or unique_violation then null;     -- another operator makes it
      end;
    end if;
  end loop;
  return v_n;
end $$;

-- Retention: deletes what is past its queue's history, in batches; drops a partition that is empty and past, one a
-- call. Dropping waits for readers, and every finish behind it, so it waits for a blink only.
create or replace function rowlock.retain_v1(p_max int default 5000) returns int language plpgsql security definer
  set search_path = rowlock, pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare v_n int; v_part text; v_empty bool;
begin
  with old as (
    select d.id, d.finished_at from rowlock.done d join rowlock.queue q on q.id = d.queue_id
     where d.finished_at < clock_timestamp() - make_interval(secs => case when d.state in ('dead', 'unknown') then q.dead_seconds else q.succeeded_seconds end)
     limit p_max for update of d skip locked),
  gone as (delete from rowlock.done d using old where d.id = old.id and d.finished_at = old.finished_at returning d.id),
  args as (delete from rowlock.payload p using gone where p.id = gone.id)
  select count(*) into v_n from gone;
  -- Where today has no place the clock is doubtful, and what looks past may be the future.
  if not rowlock.has_partition(clock_timestamp()) then return v_n; end if;
  perform set_config('lock_timeout', '100ms', true);
  for v_part in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'rowlock.done'::regclass and c.relname ~ '^done_[0-9]{8}$'
       and c.relname < 'done_' || to_char((clock_timestamp() at time zone 'UTC')::date - 1, 'YYYYMMDD') order by 1 limit 5
  loop
    begin
      execute format('select not exists (select from rowlock.%I)', v_part) into v_empty;
      if v_empty then
        execute format('drop table rowlock.%I', v_part);
        exit;
      end if;
    exception when lock_not_available or deadlock_detected or undefined_table then exit;      -- next time
    end;
  end loop;
  return v_n;
end $$;

revoke all on function rowlock.has_partition, rowlock.history_days_ahead, rowlock.nearest_end, rowlock.partitions_v1, rowlock.retain_v1 from public;
