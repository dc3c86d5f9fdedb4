-- Writes down what time it is, every two seconds at most, so that mend_clock can tell that the clock went back.
create or replace function rowlock.note_clock() returns void
language plpgsql
  set jit = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_now timestamptz := clock_timestamp();
begin
  update rowlock.clock set latest = v_now where latest < v_now - interval '2 s';
end $$;
revoke all on function rowlock.note_clock from public;
