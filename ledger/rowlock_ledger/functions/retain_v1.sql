-- Retention: deletes what is past its queue's history, in batches; drops a partition that is empty and past, one a
-- call. Dropping waits for readers, and every finish behind it, so it waits for a blink only.
create or replace function rowlock.retain_v1(p_max int default 5000) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set lock_timeout = '2s' as $$
declare v_n int; v_part text; v_empty bool;
begin
  with old as (
    select d.id, d.finished_at from rowlock.done d join rowlock.queue q on q.id = d.queue_id
     where d.finished_at < clock_timestamp() - make_interval(secs => case when d.state in ('dead', 'unknown')
       then q.dead_seconds else q.succeeded_seconds end)
     limit p_max for update of d skip locked),
  gone as (delete from rowlock.done d using old where d.id = old.id and d.finished_at = old.finished_at returning d.id),
  args as (delete from rowlock.payload p using gone where p.id = gone.id)
  select count(*) into v_n from gone;
  -- Where today has no place the clock is doubtful, and what looks past may be the future.
  if not rowlock.has_partition(clock_timestamp()) then return v_n; end if;
  perform set_config('lock_timeout', '100ms', true);
  for v_part in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'rowlock.done'::regclass and c.relname ~ '^done_[0-9]{8}$'
       and c.relname < 'done_' || to_char((clock_timestamp() at time zone 'UTC')::date - 1, 'YYYYMMDD') order by 1
         limit 5
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
revoke all on function rowlock.retain_v1 from public;
