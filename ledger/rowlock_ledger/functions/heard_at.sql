-- When a runner last spoke. One that said goodbye did so now.
create or replace function rowlock.heard_at(p_runner rowlock.runner) returns timestamptz
language sql set search_path = pg_catalog, pg_temp as $$
  select case when isfinite(p_runner.lease_until)
    then p_runner.lease_until - make_interval(secs => p_runner.lease_seconds)
    else clock_timestamp() end
$$;
revoke all on function rowlock.heard_at from public;
