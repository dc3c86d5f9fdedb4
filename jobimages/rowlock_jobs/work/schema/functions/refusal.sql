-- Why nothing may be sent for a process, or null; null for none (a comment approved by hand needs no running process).
create or replace function monitoring.refusal(p_process uuid) returns text
language sql stable security definer set search_path = public, pg_catalog, pg_temp as $$
  select case when p_process is null then null
    else coalesce(
      (select case when not m.is_active then 'Deleted'
                   when m.status <> 'running' and m.start_requested_at is null then 'NotRunning'
                   when m.status = 'running'
                     and m.started_at + make_interval(mins => m.max_duration_minutes) <= clock_timestamp()
                   then 'DurationReached' end
         from monitoring_processes m where m.id = p_process),
      case when not exists (select from monitoring_processes m where m.id = p_process) then 'Deleted' end) end
$$;
revoke all on function monitoring.refusal from public;
