-- How long until a bucket has a whole token again; it is asked again after a day at the latest.
create or replace function rowlock.until_token(p_rate float8, p_tokens float8) returns interval
language sql immutable as $$
  select make_interval(secs => least(86400, greatest(0.001, (1 - p_tokens) / greatest(p_rate, 1e-9))))
$$;
revoke all on function rowlock.until_token from public;
