-- Seconds before a run that was interrupted so often in a row is tried again: by the backoff of class infra, however
-- often. A backoff of nothing would be a loop without an end: a second at least.
create or replace function rowlock.interruption_delay(p_retry jsonb, p_n int) returns float8
language sql set search_path = pg_catalog, pg_temp as $$
  select least(greatest(coalesce((b->>'max_backoff_seconds')::float8, 60), 1),
               greatest(coalesce((b->>'backoff_seconds')::float8, 1), 1) * 2.0 ^ least(p_n - 1,
                 30)) * (0.9 + 0.2 * random())
    from (select p_retry->'infra') x(b)
$$;
revoke all on function rowlock.interruption_delay from public;
