-- Starts a bucket can give now.
create or replace function rowlock.free_now(p_bucket rowlock.bucket, p_now timestamptz) returns int
language sql immutable as $$
  select greatest(0, least(1000000, coalesce(p_bucket.max_running - p_bucket.running, 1000000),
    floor(rowlock.tokens_now(p_bucket, p_now) + 1e-6)))::int
$$;
revoke all on function rowlock.free_now from public;
