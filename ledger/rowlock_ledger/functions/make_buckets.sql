-- Makes the buckets that are not there yet. A name that nobody registered as a limit gets one that limits nothing.
create or replace function rowlock.make_buckets(p_names text[]) returns void
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  insert into rowlock.bucket(name, rule, max_running, rate, burst, tokens, tokens_at)
    select distinct on (x) x, split_part(x, ':', 1), l.max_running, l.rate, l.burst, coalesce(l.burst, 0),
      clock_timestamp()
      from unnest(p_names) x left join rowlock.limit_rule l on l.name = split_part(x, ':', 1)
     where not exists (select from rowlock.bucket b where md5(b.name) = md5(x)) order by x
    on conflict (md5(name)) do nothing;
end $$;
revoke all on function rowlock.make_buckets from public;
