-- GATE: before every request to a site. Reserves the next free moment of the site and of the login and says how long to
-- wait for it; refused says why nothing may be sent (p_process null: a comment approved by hand, which needs no running
-- process). wait > p_longest: nothing is reserved.
create or replace function monitoring.gate_v1(p_process uuid, p_site text, p_login uuid, p_site_interval float8,
  p_login_interval float8, p_longest float8 default 120)
returns table(wait_seconds float8, refused text)
language plpgsql security definer set search_path = public, pg_catalog, pg_temp set synchronous_commit = off as $$
declare v_now timestamptz := clock_timestamp(); v_at timestamptz;
begin
  refused := monitoring.refusal(p_process);
  if refused is not null then wait_seconds := 0; return next; return; end if;
  insert into monitoring.pace(key) values ('site:' || p_site) on conflict do nothing;
  insert into monitoring.pace(key) select 'login:' || p_login where p_login is not null on conflict do nothing;
  perform 1 from monitoring.pace where key in ('site:' || p_site, 'login:' || p_login) order by key for update;
  select greatest(v_now, max(next_at), max(hold_until)) into v_at from monitoring.pace
    where key in ('site:' || p_site, 'login:' || p_login);
  wait_seconds := extract(epoch from v_at - v_now);
  if wait_seconds <= p_longest then
    update monitoring.pace set next_at = v_at + make_interval(secs => case when key like 'site:%' then p_site_interval
      else p_login_interval end)
     where key in ('site:' || p_site, 'login:' || p_login);
  end if;
  return next;
end $$;
revoke all on function monitoring.gate_v1 from public;
