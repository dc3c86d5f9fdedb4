-- Seconds before the next try, or null where the class has no budget left. Tries counts the failures of this class so
-- far, this one included.
create or replace function rowlock.retry_delay(p_retry jsonb, p_class text, p_tries int) returns float8
language sql as $$
  select case when p_tries <= coalesce((b->>'limit')::int, d.lim)
              then least(coalesce((b->>'max_backoff_seconds')::float8, d.top),
                coalesce((b->>'backoff_seconds')::float8, d.first) * 2.0 ^ least(p_tries - 1,
                30)) * (0.9 + 0.2 * random()) end
    from (values ('infra', 5, 1.0, 60.0), ('app', 3, 10.0, 600.0), ('site', 5, 60.0, 3600.0)) d(class, lim, first, top),
      lateral (select p_retry->p_class) x(b)
   where d.class = p_class
$$;
revoke all on function rowlock.retry_delay from public;
