-- A task asks for another task (sessions to open or close, cleanups): a run of `p_queue`, null where an active one has
-- that key.
create or replace function monitoring.follow_up_v1(p_queue text, p_task text, p_args jsonb, p_key text) returns uuid
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
begin
  if p_task not in ('initialize_process_sessions', 'terminate_process_sessions', 'cleanup_expired_sessions',
    'cleanup_old_session_records', 'cleanup_old_articles',
                    'health_check_sessions', 'stop_monitoring_process') then
    raise exception 'task "%" is none that another task may ask for', p_task using errcode = 'RW002';
  end if;
  return rowlock.enqueue_v1(p_queue, p_task, p_args, p_key);
end $$;
revoke all on function monitoring.follow_up_v1 from public;
