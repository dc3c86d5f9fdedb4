-- Sets what a limit allows; buckets in force follow at once, waiters are looked at again. Nothing is written where
-- nothing changed.
create or replace function rowlock.set_limit_v1(
    p_name text, p_max_running int, p_rate float8, p_burst float8
) returns void
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set lock_timeout = '5s' set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_burst float8 := case when p_rate is not null then p_burst end;
begin
  if coalesce(p_name, '') = '' then
    raise exception 'a limit needs a name' using errcode = 'RW002', hint = 'Its keys are <name>:<value> in p_limits.';
  end if;
  if p_max_running < 1 or p_rate <= 0 or p_rate > 1e6 or v_burst < 1 or v_burst > 1e9
    or (p_rate is not null and v_burst is null) then
    raise exception 'limit "%": %, not %, %, %', left(p_name, 100),
      'concurrency is 1 or more, a rate more than 0 and at most 1000000 a second, a burst 1 to 1000000000',
      coalesce(p_max_running::text, 'none'), coalesce(p_rate::text, 'none'), coalesce(v_burst::text, 'none')
        using errcode = 'RW002', hint = 'A rate needs a burst; leave out what is not limited.';
  end if;
  if exists (select from rowlock.limit_rule l where l.name = p_name
               and (l.max_running, l.rate, l.burst) is not distinct from (p_max_running, p_rate, v_burst)) then
    return;
  end if;
  insert into rowlock.limit_rule(name, max_running, rate, burst) values (p_name, p_max_running, p_rate, v_burst)
    on conflict (name) do update set max_running = excluded.max_running, rate = excluded.rate, burst = excluded.burst;
  perform pg_advisory_xact_lock(7700, 1);
  update rowlock.bucket b set max_running = p_max_running, rate = p_rate, burst = v_burst,
      tokens = case when p_rate is null then 0
                    else least(v_burst, case when b.rate is null then v_burst
                                             else rowlock.tokens_now(b, clock_timestamp()) end) end,
      tokens_at = clock_timestamp(), wake_at = case when b.has_waiters then clock_timestamp() end
    where md5(b.rule) = md5(p_name) and b.rule = p_name
      and (b.max_running, b.rate, b.burst) is distinct from (p_max_running, p_rate, v_burst);
  if p_max_running is null and p_rate is null then perform rowlock.free_waiters(p_name); end if;
end $$;
revoke all on function rowlock.set_limit_v1 from public;
