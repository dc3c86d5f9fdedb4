-- Tokens a bucket has now. Time never runs backwards here: a moment taken before a lock wait must not give a token for
-- nothing. Bounded, as all reckoning with limits is: an absurd rate or moment of one bucket must not end the round of
-- all.
create or replace function rowlock.tokens_now(b rowlock.bucket, t timestamptz) returns float8
language sql immutable as $$
  select case when b.rate is null then 1e9
              else least(b.burst, b.tokens + least(b.rate, 1e6) * case when isfinite(b.tokens_at)
                then greatest(0, extract(epoch from t - b.tokens_at)) else 0 end) end
$$;
revoke all on function rowlock.tokens_now from public;
