-- What Kubernetes says of the end of a container (`p_container`, its id), or of a pod as a whole (''), that served a
-- queue. Returns how many runs, lost before, it explains; those to come are explained when they are taken back.
-- An end may be told before the runner's lease has lapsed or after the sweep has taken its runs back, by several
-- operators, and again. The lease alone gives runs away: an end that is told only says why. A container that was
-- started again in the same pod bears the pod's name, too. Who has spoken since an end was told has not ended with it;
-- so instants of one clock, this server's, tell them apart.
create or replace function rowlock.tell_end_v1(p_queue text, p_host text, p_container text, p_failure jsonb) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  v_queue int := (select id from rowlock.queue where name = p_queue); v_n int := 0; v_runs uuid[]; v_lost rowlock.lost;
  v_now timestamptz := clock_timestamp();
begin
  if v_queue is null then return 0; end if;
  perform rowlock.lock_ends();
  delete from rowlock.lost where heard_at < v_now - interval '1 h';
  delete from rowlock.host_end where told_at < v_now - interval '7 days';
  insert into rowlock.host_end as h (queue_id, host, container, failure)
    values (v_queue, p_host, p_container, p_failure)
    on conflict (queue_id, host, container) do update set told_at = clock_timestamp(), failure = excluded.failure,
      runs = null
      where h.container = '';
  if not found then return 0; end if;
  v_runs := array(select x.id from rowlock.lost x where x.queue_id = v_queue and x.host = p_host and x.container is null
                    and x.heard_at > v_now - interval '15 min' order by x.heard_at, x.id);
  for v_lost in select * from rowlock.lost x where x.queue_id = v_queue and x.host = p_host and x.container is null
             and x.id = any(v_runs) for update loop
    v_n := v_n + rowlock.explain_loss(v_lost.id, v_lost.attempt, rowlock.with_others(p_failure, v_runs))::int;
    update rowlock.lost x set container = p_container where x.id = v_lost.id and x.attempt = v_lost.attempt;
  end loop;
  return v_n;
end $$;
revoke all on function rowlock.tell_end_v1 from public;
