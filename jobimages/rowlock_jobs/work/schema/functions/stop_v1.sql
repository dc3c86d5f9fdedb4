-- Ends it at once: from here on no request goes to the site for it. p_status: stopped, completed or failed. True where
-- it ran or was starting.
create or replace function monitoring.stop_v1(
    p_id uuid, p_status text, p_reason text, p_message text default null
) returns bool
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
declare v_namespace text;
begin
  update monitoring_processes set status = p_status, status_reason = p_reason, error_message = p_message,
    stopped_at = clock_timestamp(), start_requested_at = null,
      next_discovery_at = null, updated_at = clock_timestamp()
    where id = p_id and (status = 'running' or start_requested_at is not null) returning namespace into v_namespace;
  if not found then return false; end if;
  perform monitoring.mark_runnable(p_id);
  perform rowlock.enqueue_v1(v_namespace || '/monitoring', 'stop_monitoring_process',
    jsonb_build_object('process_id', p_id), 'stop:' || p_id, 20);
  return true;
end $$;
revoke all on function monitoring.stop_v1 from public;
