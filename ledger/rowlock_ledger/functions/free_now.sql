-- Starts a bucket can give now.
create or replace function rowlock.free_now(b rowlock.bucket, t timestamptz) returns int
language sql immutable as $$
  select greatest(0, least(1000000, coalesce(b.max_running - b.running, 1000000),
    floor(rowlock.tokens_now(b, t) + 1e-6)))::int
$$;
revoke all on function rowlock.free_now from public;
