create or replace function monitoring.leave_login_v1(p_login uuid, p_run uuid) returns void
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  delete from monitoring.login_use where login_id = p_login and run_id = p_run
$$;
revoke all on function monitoring.leave_login_v1 from public;
