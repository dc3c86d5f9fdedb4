-- Why a runner is gone: what Kubernetes says of a container's or a pod's end is joined to the runs that were held
-- there. It may be told before the runner's lease has lapsed or after the sweep has taken its runs back, by several
-- operators, and again. The lease alone gives runs away: an end that is told only says why.
--
-- A container that was started again in the same pod bears the pod's name, too. Who has spoken since an end was told
-- has not ended with it; so instants of one clock, this server's, tell them apart.

-- Ends as they were told. container '' = of the pod as a whole: a state, which may be told again, where the others are
-- events.
create table rowlock.host_end(
  queue_id int not null, host text not null, container text not null,
  told_at timestamptz not null default clock_timestamp(), failure jsonb not null,
  runs uuid[],                                              -- all that were held there; null = not reckoned yet
  primary key (queue_id, host, container)
);

-- Runs that were taken back before anybody said why, and those of an end that was told meanwhile (`container`); for an
-- hour.
create table rowlock.lost(
  id uuid not null, attempt int not null, queue_id int not null, host text not null, heard_at timestamptz not null,
  container text,
  primary key (id, attempt)
);
create index lost_host on rowlock.lost(queue_id, host);

-- Where a runner runs, of its name: a pod's host name, or `once RUN-ATTEMPT` for the pod of a kube job.
create function rowlock.host_of(p_runner text) returns text language sql immutable set search_path = pg_catalog, pg_temp as $$
  select regexp_replace(p_runner, '\.[0-9]+\.[0-9a-f]+$', '')
$$;

-- When a runner last spoke. One that said goodbye did so now.
create function rowlock.heard_at(x rowlock.runner) returns timestamptz language sql volatile set search_path = pg_catalog, pg_temp as $$
  select case when isfinite(x.lease_until) then x.lease_until - make_interval(secs => x.lease_seconds) else clock_timestamp() end
$$;

-- A failure that names every run that was there: nobody knows which of them the memory went to.
create function rowlock.with_others(p_failure jsonb, p_runs uuid[]) returns jsonb language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
declare v_n int := coalesce(cardinality(p_runs), 0); v_named int := least(v_n, 16); v_others text;
begin
  if v_n < 2 then return p_failure; end if;
  v_others := format(' %s runs ended there together: %s%s.', v_n, array_to_string(p_runs[1:v_named], ', '),
    case when v_n > v_named then format(' and %s more', v_n - v_named) else '' end);
  return p_failure || jsonb_build_object('runs', to_jsonb(p_runs),
    'message', rtrim(left(p_failure->>'message', 999 - length(v_others)), '. ') || '.' || v_others);
end $$;

-- What became of a run whose runner is gone (the caller holds the lock of ends): as it was told, or that nobody knows.
create function rowlock.loss_of(r rowlock.active) returns jsonb language plpgsql set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  x rowlock.runner; e rowlock.host_end; v_host text; v_heard timestamptz;
  v_lost jsonb := jsonb_build_object('class', 'infra', 'reason', 'RunnerLost',
    'message', 'the worker that ran this attempt stopped renewing its lease (killed, evicted, or cut off)');
begin
  select * into x from rowlock.runner where id = r.runner;
  if not found then return v_lost; end if;
  v_host := rowlock.host_of(x.name);
  v_heard := rowlock.heard_at(x);
  select * into e from rowlock.host_end h
    where h.queue_id = r.queue_id and h.host = v_host and h.told_at >= v_heard order by h.told_at limit 1;
  if found and e.runs is null then
    -- Whoever was there has been silent for as long as this one; who renewed meanwhile runs on.
    e.runs := array(
      select r.id
      union select a.id from rowlock.active a join rowlock.runner y on y.id = a.runner
             where a.claimed_at is not null and a.state = 'running' and a.queue_id = r.queue_id and rowlock.host_of(y.name) = v_host
               and rowlock.heard_at(y) <= least(e.told_at, clock_timestamp() - make_interval(secs => y.lease_seconds / 2))
      union select l.id from rowlock.lost l where l.queue_id = r.queue_id and l.host = v_host and l.container = e.container
             and l.heard_at > e.told_at - interval '15 min');
    update rowlock.host_end h set runs = e.runs where h.queue_id = e.queue_id and h.host = e.host and h.container = e.container;
  end if;
  insert into rowlock.lost(id, attempt, queue_id, host, heard_at, container)
    values (r.id, r.attempt, r.queue_id, v_host, v_heard, e.container)
    on conflict (id, attempt) do nothing;
  if e.container is null then return v_lost || jsonb_build_object('worker', x.name); end if;
  return rowlock.with_others(e.failure, e.runs) || jsonb_build_object('worker', x.name);
end $$;

-- One at a time: a sweep that has not seen an end which was told, and a telling that has not seen what was swept, would
-- miss each other.
create function rowlock.lock_ends() returns void language sql as $$ select pg_advisory_xact_lock(7700, 5) $$;

-- Runs of these runners, or (p_slow) of any runner that is gone, by the verdict for class infra.
create or replace function rowlock.take_back(p_runners bigint[], p_max int, p_slow bool, p_careful bool) returns int
language plpgsql
  set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare r rowlock.active; v_n int := 0; v_failure jsonb;
begin
  for r in
    select a.* from rowlock.active a where a.claimed_at is not null and a.state = 'running'
       and case when p_slow then not exists (select from rowlock.runner x where x.id = a.runner and not x.dead)
                else a.runner = any(p_runners) end
     order by a.claimed_at limit p_max for no key update skip locked
  loop
    if v_n = 0 then
      -- Here too: workers that run elsewhere than in pods, a database whose operator is gone; nobody ever tells their
      -- ends.
      perform rowlock.lock_ends();
      delete from rowlock.lost where heard_at < clock_timestamp() - interval '1 h';
    end if;
    v_failure := rowlock.loss_of(r);
    if p_careful then perform rowlock.settle_carefully(r, 'failed', v_failure);
    else perform rowlock.settle(r, 'failed', v_failure);
    end if;
    v_n := v_n + 1;
  end loop;
  return v_n;
end $$;

-- The run was lost, and now it is known why. What was no fault of anybody uses no try, also afterwards: where it was
-- the last one, the run goes on.
create function rowlock.explain_loss(p_id uuid, p_attempt int, p_failure jsonb) returns bool language plpgsql
  set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare v_free bool := rowlock.is_disruption(p_failure); v_state text;
begin
  update rowlock.active a set failure = a.failure || p_failure,
      infra_tries = case when v_free then greatest(a.infra_tries - 1, 0) else a.infra_tries end,
      interruptions = case when v_free then least(a.interruptions + 1, 30000) else a.interruptions end
    where a.id = p_id and a.failure->>'reason' = 'RunnerLost' and a.failure->>'attempt' = p_attempt::text;
  if found then return true; end if;
  update rowlock.done d set failure = d.failure || p_failure
    where d.id = p_id and d.attempt = p_attempt and d.failure->>'reason' = 'RunnerLost' returning d.state into v_state;
  if v_state is null then return false; end if;
  if v_free and v_state = 'dead' then perform rowlock.requeue_v1(array[p_id]); end if;
  return true;
end $$;

-- What Kubernetes says of the end of a container (`p_container`, its id), or of a pod as a whole (''), that served a
-- queue. Returns how many runs, lost before, it explains; those to come are explained when they are taken back.
create function rowlock.tell_end_v1(p_queue text, p_host text, p_container text, p_failure jsonb) returns int
language plpgsql security definer set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  v_queue int := (select id from rowlock.queue where name = p_queue); v_n int := 0; v_runs uuid[]; l rowlock.lost;
  v_now timestamptz := clock_timestamp();
begin
  if v_queue is null then return 0; end if;
  perform rowlock.lock_ends();
  delete from rowlock.lost where heard_at < v_now - interval '1 h';
  delete from rowlock.host_end where told_at < v_now - interval '7 days';
  insert into rowlock.host_end as h (queue_id, host, container, failure) values (v_queue, p_host, p_container, p_failure)
    on conflict (queue_id, host, container) do update set told_at = clock_timestamp(), failure = excluded.failure, runs = null
      where h.container = '';
  if not found then return 0; end if;
  v_runs := array(select x.id from rowlock.lost x where x.queue_id = v_queue and x.host = p_host and x.container is null
                    and x.heard_at > v_now - interval '15 min' order by x.heard_at, x.id);
  for l in select * from rowlock.lost x where x.queue_id = v_queue and x.host = p_host and x.container is null
             and x.id = any(v_runs) for update loop
    v_n := v_n + rowlock.explain_loss(l.id, l.attempt, rowlock.with_others(p_failure, v_runs))::int;
    update rowlock.lost x set container = p_container where x.id = l.id and x.attempt = l.attempt;
  end loop;
  return v_n;
end $$;

revoke all on function rowlock.host_of, rowlock.heard_at, rowlock.with_others, rowlock.loss_of, rowlock.lock_ends,
  rowlock.explain_loss, rowlock.tell_end_v1 from public;
