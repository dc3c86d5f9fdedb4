-- After the wait, right before the request: still allowed, and nobody was told to wait (429) meanwhile?
create or replace function monitoring.still_v1(
    p_process uuid, p_site text, p_login uuid
) returns table(wait_seconds float8, refused text)
language sql stable security definer set search_path = public, pg_catalog, pg_temp as $$
  select greatest(0, coalesce((select extract(epoch from max(hold_until) - clock_timestamp()) from monitoring.pace
           where key in ('site:' || p_site, 'login:' || p_login) and hold_until > clock_timestamp()), 0))::float8,
             monitoring.refusal(p_process)
$$;
revoke all on function monitoring.still_v1 from public;
