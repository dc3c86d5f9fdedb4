-- Asks for a start. Null: it was taken (or it runs already); else the reason why not. The task start_monitoring_process
-- makes it running; it goes before what other processes have waiting.
create or replace function monitoring.start_v1(p_id uuid, p_per_owner int default 10) returns text
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
declare m monitoring_processes;
begin
  select * into m from monitoring_processes where id = p_id and is_active for update;
  if not found then return 'NotFound'; end if;
  if m.status = 'running' or m.start_requested_at is not null then return null; end if;
  -- two starts of one owner at once must not both be the last allowed one
  perform pg_advisory_xact_lock(7701, hashtext(m.owner));
  if (select count(*) from monitoring_processes o where o.owner = m.owner and o.is_active
    and (o.status = 'running' or o.start_requested_at is not null)) >= p_per_owner then
    return 'TooManyRunning';
  end if;
  update monitoring_processes set start_requested_at = clock_timestamp(), status = 'created',
    status_reason = 'Starting', error_message = null, last_error = null,
      last_error_at = null, started_at = null, stopped_at = null, discovery_empty_streak = 0, discovery_error = null,
        generation_stopped = null, updated_at = clock_timestamp() where id = p_id;
  perform rowlock.enqueue_v1(m.namespace || '/monitoring', 'start_monitoring_process',
    jsonb_build_object('process_id', p_id), 'start:' || p_id, 20);
  return null;
end $$;
revoke all on function monitoring.start_v1 from public;
