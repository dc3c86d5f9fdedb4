-- Nothing waits for ever: a WorkQueue that is gone for as long as its dead runs were to be kept does not come back, so
-- what waits for it is canceled. Lanes asleep without a run for a day, and buckets nobody uses, are deleted.
create or replace function rowlock.forget_v1() returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
declare v_n int;
begin
  if not rowlock.claimer_lock() then return 0; end if;
  perform rowlock.cancel_v1(array(
    select a.id from rowlock.active a join rowlock.queue q on q.id = a.queue_id
     where q.deleted and q.changed_at < clock_timestamp() - make_interval(secs => q.dead_seconds) order by a.id
       limit 10000), 'WorkQueueDeleted');
  -- Nobody would write these into a status column any more.
  delete from rowlock.outbox o using rowlock.source s, rowlock.queue q
   where s.id = o.source_id and q.id = s.queue_id and q.deleted
     and q.changed_at < clock_timestamp() - make_interval(secs => q.dead_seconds);
  -- Lanes asleep without a run for a day, and buckets nobody uses.
  delete from rowlock.lane l where l.at is null and l.blocked_by is null and l.pending = 0
    and l.floor < clock_timestamp() - interval '1 day'
    and not exists (select from rowlock.active a where a.lane = l.id)
      and not exists (select from rowlock.inbox i where i.lane = l.id);
  get diagnostics v_n = row_count;
  delete from rowlock.bucket b where b.running = 0 and not b.has_waiters
    and b.tokens_at < clock_timestamp() - interval '1 day'
    and not exists (select from rowlock.lane l where b.id = any(l.buckets));
  return v_n;
end $$;
revoke all on function rowlock.forget_v1 from public;
