-- For how many days after today (UTC) the history has a place, without a gap; -1: not even for today.
create or replace function rowlock.history_days_ahead(p_most int default 8) returns int
language sql stable as $$
  select coalesce(min(i) filter (where not rowlock.has_partition(clock_timestamp() + make_interval(days => i))),
    p_most + 1) - 1 from generate_series(0, p_most) i
$$;
revoke all on function rowlock.history_days_ahead from public;
