-- Registers a runner and returns its id. Its lease lasts p_lease_seconds, 1 to 3600.
create or replace function rowlock.hello_v1(p_name text, p_lease_seconds float8 default 10) returns bigint
language sql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
  insert into rowlock.runner(name, lease_seconds, lease_until)
    select left(p_name, 200), x.s, clock_timestamp() + make_interval(secs => x.s)
      from (select least(3600, greatest(1, p_lease_seconds)) s) x returning id
$$;
revoke all on function rowlock.hello_v1 from public;
grant execute on function rowlock.hello_v1 to rowlock_worker;
