-- The site said 429: everybody waits.
create or replace function monitoring.hold_v1(p_site text, p_login uuid, p_seconds float8) returns void
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  insert into monitoring.pace(key, hold_until) values ('site:' || p_site,
    clock_timestamp() + make_interval(secs => p_seconds))
    on conflict (key) do update set hold_until = greatest(pace.hold_until, excluded.hold_until)
$$;
revoke all on function monitoring.hold_v1 from public;
