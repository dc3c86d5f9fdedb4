-- Limits that are gone hold nothing back.

-- Sets what a limit allows; buckets in force follow at once, waiters are looked at again. Nothing is written where
-- nothing changed.
create or replace function rowlock.set_limit_v1(p_name text, p_max_running int, p_rate float8, p_burst float8) returns void
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp set lock_timeout = '5s'
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_burst float8 := case when p_rate is not null then p_burst end;
begin
  if coalesce(p_name, '') = '' then
    raise exception 'a limit needs a name' using errcode = 'RW002', hint = 'Its keys are <name>:<value> in p_limits.';
  end if;
  if p_max_running < 1 or p_rate <= 0 or p_rate > 1e6 or v_burst < 1 or v_burst > 1e9 or (p_rate is not null and v_burst is null) then
    raise exception 'limit "%": concurrency is 1 or more, a rate more than 0 and at most 1000000 a second, a burst 1 to 1000000000, not %, %, %', left(p_name, 100),
      coalesce(p_max_running::text, 'none'), coalesce(p_rate::text, 'none'), coalesce(v_burst::text, 'none') using errcode = 'RW002', hint = 'A rate needs a burst; leave out what is not limited.';
  end if;
  if exists (select from rowlock.limit_rule l where l.name = p_name and (l.max_running, l.rate, l.burst) is not distinct from (p_max_running, p_rate, v_burst)) then return; end if;
  insert into rowlock.limit_rule(name, max_running, rate, burst) values (p_name, p_max_running, p_rate, v_burst)
    on conflict (name) do update set max_running = excluded.max_running, rate = excluded.rate, burst = excluded.burst;
  perform pg_advisory_xact_lock(7700, 1);
  update rowlock.bucket b set max_running = p_max_running, rate = p_rate, burst = v_burst,
      tokens = case when p_rate is null then 0 else least(v_burst, case when b.rate is null then v_burst else rowlock.tokens_now(b, clock_timestamp()) end) end,
      tokens_at = clock_timestamp(), wake_at = case when b.has_waiters then clock_timestamp() end
    where md5(b.rule) = md5(p_name) and b.rule = p_name and (b.max_running, b.rate, b.burst) is distinct from (p_max_running, p_rate, v_burst);
  if p_max_running is null and p_rate is null then perform rowlock.free_waiters(p_name); end if;
end $$;

-- What waits for buckets of a rule that limits nothing is looked at again at once, all of it. The caller is the
-- claimer.
create function rowlock.free_waiters(p_rule text) returns void language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_buckets int[];
begin
  with freed as (
    update rowlock.bucket b set max_running = null, rate = null, burst = null, has_waiters = false, wake_at = null
      where md5(b.rule) = md5(p_rule) and b.rule = p_rule returning b.id)
  select array_agg(id) into v_buckets from freed;
  update rowlock.lane l set blocked_by = null, at = clock_timestamp() where l.blocked_by = any(v_buckets);
end $$;

-- Removes the rules whose names begin with p_prefix and are not in p_keep; returns how many. Their buckets go on
-- counting and limit nothing.
create function rowlock.drop_limits_v1(p_prefix text, p_keep text[]) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp set lock_timeout = '5s'
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_name text; v_gone text[];
begin
  if coalesce(p_prefix, '') = '' then
    raise exception 'which limits? The prefix is empty' using errcode = 'RW002', hint = 'The rules of a source begin with its id and a dot.';
  end if;
  v_gone := array(select l.name from rowlock.limit_rule l where starts_with(l.name, p_prefix) and l.name <> all(coalesce(p_keep, '{}')) order by 1);
  if v_gone = '{}' then return 0; end if;
  delete from rowlock.limit_rule l where l.name = any(v_gone);
  perform pg_advisory_xact_lock(7700, 1);
  foreach v_name in array v_gone loop
    perform rowlock.free_waiters(v_name);
  end loop;
  return cardinality(v_gone);
end $$;

revoke all on function rowlock.free_waiters, rowlock.drop_limits_v1, rowlock.set_limit_v1 from public;
