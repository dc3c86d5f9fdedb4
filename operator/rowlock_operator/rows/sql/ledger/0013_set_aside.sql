-- What the ledger cannot digest stands aside, with a reason and a sentence, so that everything else goes on.

-- Runs that could not even be ended: as they were, and why. The command line and the housekeeper tell of them; nothing reads them by itself.
create table rowlock.aside(
  id uuid primary key,
  at timestamptz not null default clock_timestamp(),
  reason text not null, message text not null,                -- of who set the run aside
  why text not null,                                          -- what kept it from being ended
  run jsonb not null                                          -- its row; large arguments stay in rowlock.payload
);

-- Ends one run that a round, a sweep or a figure cannot digest: dead (unknown where an effect was begun), class input. For a caller's own exception block:
-- one run that is set aside never raises. False: there is no such run any more, or somebody holds it (then the next pass meets it again).
create function rowlock.set_aside(p_id uuid, p_reason text, p_message text) returns bool language plpgsql
  set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare r rowlock.active; v_why text; v_message text := left(p_message, 1000);
begin
  select * into r from rowlock.active a where a.id = p_id for update skip locked;
  if not found then return false; end if;
  begin
    perform rowlock.end_run(r, case when r.effect is null then 'dead' else 'unknown' end, null,
      jsonb_strip_nulls(jsonb_build_object('class', 'input', 'reason', p_reason, 'message', v_message, 'attempt', r.attempt, 'effect', r.effect,
        'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))));
    return true;
  exception when others then v_why := sqlerrm;
  end;
  begin
    insert into rowlock.aside(id, reason, message, why, run) values (r.id, p_reason, v_message, v_why, to_jsonb(r)) on conflict (id) do nothing;
    delete from rowlock.active where id = r.id;
  exception when others then
    begin                                                     -- it stays where it is, and no claim reads it
      update rowlock.active set due = 'infinity' where id = r.id and due is not null;
      return found;
    exception when others then return false;
    end;
  end;
  begin
    perform rowlock.tell(r, null, case when r.due is null then 0 else -1 end, r.due is null);
  exception when others then null;                            -- a counter is wrong by one
  end;
  return true;
end $$;
revoke all on function rowlock.set_aside from public;

-- Names are unique by a digest: whatever a caller or a column holds, an index takes no more than 2,704 bytes.
alter table rowlock.bucket drop constraint bucket_name_key;
create unique index bucket_name on rowlock.bucket(md5(name));
drop index rowlock.bucket_rule;
create index bucket_rule on rowlock.bucket(md5(rule));

-- As in 0003; buckets are looked up by their digest.

create or replace function rowlock.fold(p_max int, p_floor xid8) returns int language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare v_n int; v_events rowlock.folded[]; v_buckets int[]; t timestamptz;
begin
  with taken as (
    delete from rowlock.inbox where ctid = any(array(select ctid from rowlock.inbox where x >= p_floor order by x limit p_max for update skip locked)) returning *)
  select array_agg(row(lane, queue_id, priority, fairness_key, limits, due, n, r)::rowlock.folded), coalesce(sum(c), 0)::int into v_events, v_n
    from (select lane, min(queue_id) queue_id, min(priority) priority, min(fairness_key) fairness_key, max(limits) limits, min(due) due,
                 sum(n)::int n, sum(released)::int r, count(*) c from taken group by lane) e;
  if v_n = 0 then return 0; end if;
  t := clock_timestamp();
  insert into rowlock.bucket(name, rule, max_running, rate, burst, tokens, tokens_at)
    select distinct on (x) x, split_part(x, ':', 1), l.max_running, l.rate, l.burst, coalesce(l.burst, 0), t
      from unnest(v_events) e, unnest(e.limits) x left join rowlock.limit_rule l on l.name = split_part(x, ':', 1)
     where not exists (select from rowlock.bucket b where md5(b.name) = md5(x)) order by x
    on conflict (md5(name)) do nothing;
  insert into rowlock.lane as l (id, queue_id, priority, fairness_key, buckets, at, floor, pending)
    select e.lane, e.queue_id, e.priority, e.fairness_key,
           coalesce((select array_agg(b.id order by b.id) from rowlock.bucket b where md5(b.name) = any(array(select md5(x) from unnest(e.limits) x))), '{}'),
           greatest(e.due, t), e.due, e.n
      from unnest(v_events) e where e.due is not null order by e.lane
    on conflict (id) do update set pending = l.pending + excluded.pending, floor = least(l.floor, excluded.floor),
      at = case when l.blocked_by is not null then l.at else least(l.at, excluded.at) end;
  update rowlock.lane l set pending = l.pending + e.n from unnest(v_events) e where e.due is null and e.n <> 0 and l.id = e.lane;
  select array_agg(distinct b) into v_buckets from unnest(v_events) e join rowlock.lane l on l.id = e.lane, unnest(l.buckets) b where e.released > 0;
  if v_buckets is not null then
    perform 1 from rowlock.bucket where id = any(v_buckets) order by id for no key update;
    update rowlock.bucket b set running = b.running - x.r
      from (select b2, sum(e.released) r from unnest(v_events) e join rowlock.lane l on l.id = e.lane, unnest(l.buckets) b2 where e.released > 0 group by b2) x
     where b.id = x.b2;
    perform rowlock.wake_lanes(v_buckets);
  end if;
  return v_n;
end $$;
