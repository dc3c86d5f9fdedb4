-- Tokens a bucket has now. Time never runs backwards here: a moment taken before a lock wait must not give a token for
-- nothing. Bounded, as all reckoning with limits is: an absurd rate or moment of one bucket must not end the round of
-- all.
create or replace function rowlock.tokens_now(p_bucket rowlock.bucket, p_now timestamptz) returns float8
language sql immutable as $$
  select case when p_bucket.rate is null then 1e9
              else least(p_bucket.burst, p_bucket.tokens + least(p_bucket.rate, 1e6) * case
                when isfinite(p_bucket.tokens_at)
                then greatest(0, extract(epoch from p_now - p_bucket.tokens_at)) else 0 end) end
$$;
revoke all on function rowlock.tokens_now from public;
