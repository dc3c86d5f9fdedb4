-- The identity of a waiting line: 64 bits of a digest, so that whoever inserts a run touches no shared row. Its body is
-- stable, not immutable (array_to_string), and only a function that says what its body is can be inlined: 14 us a row
-- of a claim less.
create or replace function rowlock.lane_of(
    p_queue int, p_priority smallint, p_fairness_key text, p_limits text[]
) returns bigint
language sql stable parallel safe as $$
  select ('x' || substr(md5(p_queue || ' ' || p_priority || ' ' || length(p_fairness_key) || ' ' || p_fairness_key
    || ' ' || coalesce(array_to_string(p_limits, E'\x01'), '')), 1, 16))::bit(64)::bigint
$$;
revoke all on function rowlock.lane_of from public;
