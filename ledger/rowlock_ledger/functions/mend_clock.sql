-- Brings back from the future what we stamped there, after a clock that went forward and came back; returns whether it
-- had gone back. Moments that a caller named (p_due) stay. The caller is the claimer; lanes are brought back by
-- relane_v1, from the runs in them.
create or replace function rowlock.mend_clock() returns bool
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_now timestamptz := clock_timestamp(); v_soon timestamptz := v_now + interval '1 s'; v_latest timestamptz;
begin
  -- Nets that need no evidence.
  update rowlock.runner set lease_until = v_now + make_interval(secs => lease_seconds) where id > 0 and not dead
    and lease_until > v_soon + make_interval(secs => lease_seconds);
  update rowlock.bucket set tokens_at = v_now where tokens_at > v_soon or not isfinite(tokens_at);
  select c.latest into v_latest from rowlock.clock c;
  if v_latest < v_now - interval '1 min' then
    -- No round has noted anything for a while (no operator, or nothing to do): the newest run's id tells when it was
    -- made.
    select greatest(v_latest, case when substr(a.id::text, 15, 1) = '7'
      then to_timestamp(('x' || substr(replace(a.id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0) end)
      into v_latest from rowlock.active a order by a.id desc limit 1;
  end if;
  if coalesce(v_latest, v_now) <= v_soon then return false; end if;
  update rowlock.clock set latest = v_now;
  update rowlock.inbox set due = v_now where due > v_soon;           -- too early costs a look
  update rowlock.bucket set wake_at = v_now where wake_at > v_soon;
  update rowlock.lane set at = v_now where blocked_by is not null and at > v_soon;
  update rowlock.active set claimed_at = v_now, started_at = case when started_at > v_now then v_now else started_at end
    where claimed_at > v_soon;
  update rowlock.active a set due = x.due, created_at = least(a.created_at, v_now)
    from (
      select r.id, case
          -- A retry: as long after now as it was to be after its failure.
          when r.infra_tries + r.app_tries + r.site_tries > 0 and f.at > v_soon
            then least(r.due, v_now + (r.due - f.at))
          -- Due at the moment it was made, or was put back by hand.
          when r.due <= r.created_at or (r.attempt > 1 and r.infra_tries + r.app_tries + r.site_tries = 0
            and r.due <= v_latest + interval '5 s') then v_now
        end as due
        from rowlock.active r,
             lateral (select case when r.failure->>'at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$'
               then (r.failure->>'at')::timestamptz end) f(at)
       where r.due > v_soon) x
   where a.id = x.id and x.due is not null;
  return true;
end $$;
revoke all on function rowlock.mend_clock from public;
