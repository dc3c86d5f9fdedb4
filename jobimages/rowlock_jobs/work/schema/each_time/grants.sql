-- What the tasks need and no more. Runs at each migration, because the role may have been made after the tables.
-- A table of somebody else's may not be ours to grant: then its owner is told, and the migration goes on.
do $$
declare
  v_grant text;
begin
  if not exists (select from pg_roles where rolname = 'rowlock_worker') then
    raise notice 'there is no role rowlock_worker yet; run the migration again once the operator has made it';
    return;
  end if;
  foreach v_grant in array array[
    'select, update on workshop_documents',
    'select, insert, update, delete on workshop_chunks',
    'select, update on document_ingest_jobs',
    -- Monitoring: the tasks read and write their rows; what two sides share is a function.
    'usage on schema monitoring',
    'select, insert, update on ai_comments',
    'select, update on monitoring_processes, mymoment_logins, llm_provider_configurations',
    'select on monitoring_process_logins, monitoring_process_prompts, prompt_templates',
    'select, insert, update, delete on mymoment_sessions',
    'delete on ai_comments',
    'execute on function monitoring.run_v1, monitoring.stop_v1, monitoring.expire_v1, monitoring.gate_v1',
    'execute on function monitoring.still_v1, monitoring.hold_v1',
    'execute on function monitoring.use_login_v1, monitoring.leave_login_v1, monitoring.tick_v1',
    'execute on function monitoring.mark_runnable, monitoring.follow_up_v1',
    'execute on function monitoring.run_is_over'
  ] loop
    begin
      execute format('grant %s to rowlock_worker', v_grant);
    exception when insufficient_privilege then
      raise notice 'this login may not "grant % to rowlock_worker"; ask the owner of the table to do it', v_grant;
    end;
  end loop;
  -- A chunks table made elsewhere may number its rows from a sequence, which needs a grant of its own; an identity
  -- column does not.
  if pg_get_serial_sequence('workshop_chunks', 'id') is not null then
    execute format('grant usage on sequence %s to rowlock_worker', pg_get_serial_sequence('workshop_chunks', 'id'));
  end if;
exception when insufficient_privilege then
  raise notice 'the grants to rowlock_worker are not complete (%); ask the owner of the tables', sqlerrm;
end $$;
