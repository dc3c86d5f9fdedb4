-- A lane's buckets as its runs name them, and no floor: whatever was wrong with its row.
create or replace function rowlock.mend_lane(p_lane bigint) returns void
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_limits text[];
begin
  select a.limits into v_limits from rowlock.active a where a.lane = p_lane and a.due is not null order by a.due
    limit 1;
  perform rowlock.make_buckets(v_limits);
  update rowlock.lane set floor = '-infinity',
      buckets = array(select b.id from rowlock.bucket b
        where md5(b.name) = any(array(select md5(x) from unnest(v_limits) x)) order by b.id)
    where id = p_lane;
exception when others then null;                               -- then its runs stand aside, one by one
end $$;
revoke all on function rowlock.mend_lane from public;
