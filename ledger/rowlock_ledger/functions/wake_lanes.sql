-- Wakes lanes that wait for these buckets, first come first served, as many as the buckets can serve.
create or replace function rowlock.wake_lanes(p_buckets int[]) returns int
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_bucket rowlock.bucket; v_woken int := 0; v_k int; v_free int; v_now timestamptz := clock_timestamp();
begin
  for v_bucket in select * from rowlock.bucket where id = any(p_buckets) and has_waiters order by id
    for no key update loop
    v_free := least(100, rowlock.free_now(v_bucket, v_now));
    if v_free > 0 then
      update rowlock.lane set blocked_by = null, at = v_now
        where id in (select id from rowlock.lane where blocked_by = v_bucket.id order by at limit v_free
          for no key update skip locked);
      get diagnostics v_k = row_count;
      v_woken := v_woken + v_k;
      if v_k < v_free then
        update rowlock.bucket set has_waiters = exists (select from rowlock.lane where blocked_by = v_bucket.id),
          wake_at = null where id = v_bucket.id;
      else
        update rowlock.bucket
          set wake_at = case when rate is not null then v_now + rowlock.until_token(rate, 0) else v_now end
          where id = v_bucket.id;
      end if;
    elsif v_bucket.rate is not null and v_bucket.running < coalesce(v_bucket.max_running, v_bucket.running + 1) then
      update rowlock.bucket set wake_at = v_now + rowlock.until_token(rate, rowlock.tokens_now(v_bucket, v_now))
        where id = v_bucket.id;
    else
      update rowlock.bucket set wake_at = null where id = v_bucket.id;      -- a release will wake them
    end if;
  end loop;
  return v_woken;
end $$;
revoke all on function rowlock.wake_lanes from public;
