-- Since when the oldest run of each queue (or of one) waits that could start: due, neither canceled nor begun. Read
-- from the lines with the lowest floors, a bounded number of them (relane_v1 keeps floors near): a run that is not due,
-- or that has ended, is never told, whatever a line's own row says.
create or replace function rowlock.oldest_due(p_queue int default null) returns table(queue_id int, since timestamptz)
language plpgsql stable set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare v_now timestamptz := clock_timestamp(); v_most int;
begin
  select greatest(1, least(50, 2000 / greatest(1, count(*)))) into v_most from rowlock.queue;
  return query
  with lines as materialized (
    select l.queue_id, l.id, l.floor, row_number() over (partition by l.queue_id order by l.floor) as n
      from rowlock.lane l
     where l.pending > 0 and (l.blocked_by is not null or l.at <= v_now) and (p_queue is null or l.queue_id = p_queue))
  -- Who asks for a moment long past (or for -infinity) waits since asking.
  select x.queue_id, min(case when f.due >= f.created_at - interval '1 day' then f.due else f.created_at end)
    from lines x, lateral (
      select a.due, a.created_at from rowlock.active a
       where a.lane = x.id and a.due is not null and a.due >= x.floor and a.due <= v_now order by a.due limit 1) f
   where x.n <= v_most group by x.queue_id;
end $$;
revoke all on function rowlock.oldest_due from public;
