-- A clock that went forward and came back: what was stamped meanwhile lies in the future, and would wait until then.

-- The latest reading that the claimer wrote anything with; one row, written every two seconds at most, and never at
-- rest.
create table rowlock.clock(
  one bool primary key default true check (one),
  latest timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
insert into rowlock.clock(latest) values (clock_timestamp());

create function rowlock.note_clock() returns void language plpgsql
  set jit = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare t timestamptz := clock_timestamp();
begin
  update rowlock.clock set latest = t where latest < t - interval '2 s';
end $$;

-- How long each runner's lease is, so that one that was stamped in the future can be told.
alter table rowlock.runner add column lease_seconds float8 not null default 3600;

create or replace function rowlock.hello_v1(p_name text, p_lease_seconds float8 default 10) returns bigint
language sql security definer set search_path = rowlock, pg_catalog, pg_temp as $$
  insert into rowlock.runner(name, lease_seconds, lease_until)
    select left(p_name, 200), x.s, clock_timestamp() + make_interval(secs => x.s) from (select least(3600, greatest(1, p_lease_seconds)) s) x returning id
$$;

create or replace function rowlock.renew_v1(p_runner bigint, p_lease_seconds float8 default 10, p_ids uuid[] default '{}', p_progress jsonb[] default '{}')
returns table(alive bool, cancel uuid[]) language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_seconds float8 := least(3600, greatest(1, p_lease_seconds));
begin
  update rowlock.runner set lease_until = clock_timestamp() + make_interval(secs => v_seconds), lease_seconds = v_seconds where id = p_runner and not dead and id > 0;
  if not found then return query select false, '{}'::uuid[]; return; end if;
  if array_length(p_ids, 1) > 0 then
    update rowlock.active a set progress = w.progress from unnest(p_ids, p_progress) w(id, progress) where a.id = w.id and a.runner = p_runner and a.state = 'running';
  end if;
  return query select true, array(select c.id from rowlock.cancel_note c where c.runner = p_runner);
end $$;

-- Brings back from the future what we stamped there; returns whether the clock had gone back. Moments that a caller
-- named (p_due) stay. The caller is the claimer; lanes are brought back by relane_v1, from the runs in them.
create function rowlock.mend_clock() returns bool language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare t timestamptz := clock_timestamp(); v_soon timestamptz := t + interval '1 s'; v_latest timestamptz;
begin
  -- Nets that need no evidence.
  update rowlock.runner set lease_until = t + make_interval(secs => lease_seconds) where id > 0 and not dead and lease_until > v_soon + make_interval(secs => lease_seconds);
  update rowlock.bucket set tokens_at = t where tokens_at > v_soon or not isfinite(tokens_at);
  select c.latest into v_latest from rowlock.clock c;
  if v_latest < t - interval '1 min' then
    -- No round has noted anything for a while (no operator, or nothing to do): the newest run's id tells when it was
    -- made.
    select greatest(v_latest, case when substr(a.id::text, 15, 1) = '7' then to_timestamp(('x' || substr(replace(a.id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0) end)
      into v_latest from rowlock.active a order by a.id desc limit 1;
  end if;
  if coalesce(v_latest, t) <= v_soon then return false; end if;
  update rowlock.clock set latest = t;
  update rowlock.inbox set due = t where due > v_soon;           -- too early costs a look
  update rowlock.bucket set wake_at = t where wake_at > v_soon;
  update rowlock.lane set at = t where blocked_by is not null and at > v_soon;
  update rowlock.active set claimed_at = t, started_at = case when started_at > t then t else started_at end where claimed_at > v_soon;
  update rowlock.active a set due = x.due, created_at = least(a.created_at, t)
    from (
      select r.id, case
          -- A retry: as long after now as it was to be after its failure.
          when r.infra_tries + r.app_tries + r.site_tries > 0 and f.at > v_soon then least(r.due, t + (r.due - f.at))
          -- Due at the moment it was made, or was put back by hand.
          when r.due <= r.created_at or (r.attempt > 1 and r.infra_tries + r.app_tries + r.site_tries = 0 and r.due <= v_latest + interval '5 s') then t
        end as due
        from rowlock.active r,
             lateral (select case when r.failure->>'at' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$' then (r.failure->>'at')::timestamptz end) f(at)
       where r.due > v_soon) x
   where a.id = x.id and x.due is not null;
  return true;
end $$;

revoke all on function rowlock.note_clock, rowlock.mend_clock from public;
