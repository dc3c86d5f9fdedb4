-- One more use of a login, or false where the allowed number is in use. The use of a pod that died ends with its run,
-- at the latest by its time.
create or replace function monitoring.use_login_v1(
    p_login uuid, p_run uuid, p_allowed int, p_seconds float8 default 900
) returns bool
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
begin
  perform 1 from mymoment_logins where id = p_login for update;
  delete from monitoring.login_use where login_id = p_login
    and (until < clock_timestamp() or run_id = p_run or monitoring.run_is_over(run_id));
  if (select count(*) from monitoring.login_use where login_id = p_login) >= p_allowed then return false; end if;
  insert into monitoring.login_use(login_id, run_id, until)
    values (p_login, p_run, clock_timestamp() + make_interval(secs => p_seconds));
  return true;
end $$;
revoke all on function monitoring.use_login_v1 from public;
