-- Deletes ended runs of one queue that ended longer ago than p_older, at most p_max of them, with their arguments;
-- returns how many. Keys in rowlock.seen stay: a row whose history is gone must not run again.
create or replace function rowlock.purge_v1(
    p_queue text, p_states text[], p_older interval default '0', p_max int default 5000
) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  v_queue int := rowlock.queue_id(p_queue); v_before timestamptz := clock_timestamp() - coalesce(p_older, interval '0');
  v_ids uuid[]; v_ended timestamptz[]; v_n int;
begin
  if p_states is null or not p_states <@ array['succeeded', 'dead', 'unknown', 'canceled'] then
    raise exception 'only succeeded, dead, unknown and canceled runs are purged, not %',
      coalesce(array_to_string(p_states, ', '), 'null')
      using errcode = 'RW002', hint = 'Runs that have not ended are canceled first.';
  end if;
  if p_states <@ array['dead', 'unknown'] then
    -- The same again with the words of the partial index done_attention: among a million succeeded ones the few dead
    -- must be found without reading all.
    select array_agg(d.id), array_agg(d.finished_at) into v_ids, v_ended
      from (select x.id, x.finished_at from rowlock.done x
             where x.queue_id = v_queue and x.state in ('dead', 'unknown') and x.state = any(p_states)
               and x.finished_at <= v_before limit p_max) d;
  else
    select array_agg(d.id), array_agg(d.finished_at) into v_ids, v_ended
      from (select x.id, x.finished_at from rowlock.done x where x.queue_id = v_queue and x.state = any(p_states)
        and x.finished_at <= v_before limit p_max) d;
  end if;
  -- By id and end: a run that was requeued in between is no longer this one, and keeps its arguments.
  with gone as (
    delete from rowlock.done d using unnest(v_ids, v_ended) w(id, finished_at) where d.id = w.id
      and d.finished_at = w.finished_at returning d.id),
  args as (delete from rowlock.payload p using gone where p.id = gone.id)
  select count(*) into v_n from gone;
  return v_n;
end $$;
revoke all on function rowlock.purge_v1 from public;
grant execute on function rowlock.purge_v1 to rowlock_client;
