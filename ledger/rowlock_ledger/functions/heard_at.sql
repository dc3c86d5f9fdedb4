-- When a runner last spoke. One that said goodbye did so now.
create or replace function rowlock.heard_at(x rowlock.runner) returns timestamptz
language sql set search_path = pg_catalog, pg_temp as $$
  select case when isfinite(x.lease_until) then x.lease_until - make_interval(secs => x.lease_seconds)
    else clock_timestamp() end
$$;
revoke all on function rowlock.heard_at from public;
