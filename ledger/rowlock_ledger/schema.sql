-- The ledger as it is: roles, types, tables, the view. docs/states.md is the state table; docs/decisions/0001-ledger.md
-- says why it has this shape. Applied once, to a database without a ledger; then functions/*.sql, then schema_end.sql.
-- No foreign keys between these tables: each insert of a run would lock its parent row.

create schema if not exists rowlock;

-- Two group roles get what docs/contracts.md says, nothing else.
do $$
declare v_role text;
begin
  foreach v_role in array array['rowlock_worker', 'rowlock_client'] loop
    if not exists (select from pg_roles where rolname = v_role) then
      begin
        execute format('create role %I nologin', v_role);
      exception when insufficient_privilege then
        raise exception 'role % is missing and this login may not create roles', v_role
          using errcode = 'RW003', hint = format('Have an administrator run: CREATE ROLE %I NOLOGIN;', v_role);
      end;
    end if;
    execute format('grant usage on schema rowlock to %I', v_role);
  end loop;
end $$;

-- What was applied to this database, by the names that rowlock_ledger/install.py gives.
create table rowlock.migration(
  version text primary key,
  applied_at timestamptz not null default clock_timestamp()
);

-- One WorkQueue. `retry` holds the budgets per failure class: {"app": {"limit": 3, "backoff_seconds": 10,
-- "max_backoff_seconds": 600}, ...}
create table rowlock.queue(
  id int generated always as identity primary key,
  name text not null unique,                                  -- namespace/name
  mode text not null default 'Workers' check (mode in ('Workers', 'Jobs')),
  retry jsonb not null default '{}',
  suspended bool not null default false,
  -- its WorkQueue is gone: nothing is claimed; what is in hand goes back to pending
  deleted bool not null default false,
  succeeded_seconds int not null default 86400,               -- how long ended runs stay readable
  dead_seconds int not null default 2592000,
  changed_at timestamptz not null default clock_timestamp(),
  tasks text[],                                               -- spec.tasks; null = not known (yet), so not checked
  -- noted by an enqueuer: no WorkQueue of that name was ever seen (deleted is true, too)
  expected bool not null default false
);

-- One RowSource. `spec` is the operator's own note of what it registered; the custom resource is the truth.
-- A RowSource made anew for another table is another source: runs, outcomes, remembered keys and limits all carry
-- rowlock.source.id, so that id is the generation: one for each (name, table, key). The same three again find their old
-- id, and what was done is not done again.
create table rowlock.source(
  id int generated always as identity primary key,
  name text not null,                                         -- namespace/name
  queue_id int not null,
  spec jsonb not null default '{}',
  changed_at timestamptz not null default clock_timestamp(),
  -- the table, quoted where it must be; null = registered before generations were told apart
  relation text,
  key_column text,
  -- another generation took its place, or its RowSource is gone; null = the one that its name means
  retired_at timestamptz,
  -- why outcomes of one that nobody feeds cannot be written; null = they can, or there are none
  trouble text,
  -- grows where remembered keys were forgotten: cursors begin anew
  forgets int not null default 0,
  -- what an audit of its table found, with the remedy: rows that carry our mark, and that the ledger knows no run of
  marks text
);
create unique index source_current on rowlock.source(name) where retired_at is null;
create unique index source_generation on rowlock.source(name, relation, key_column);

-- What a limit allows; each distinct key value gets a bucket of its own. Bucket names are '<rule>:<value>'.
create table rowlock.limit_rule(
  name text primary key,
  max_running int check (max_running > 0),
  rate float8 check (rate > 0),                               -- starts per second
  burst float8 check (burst >= 1),
  check (rate is null or burst is not null)
);

-- Runs that have not ended. `state` is in no index and in no index predicate, so that a start is a HOT update.
create table rowlock.active(
  -- time-ordered: inserts stay at the right edge of the index
  id uuid primary key,
  lane bigint not null,
  due timestamptz,                                            -- not null = pending
  claimed_at timestamptz,                                     -- not null = queued, launching or running
  queue_id int not null,
  attempt int not null default 1,
  source_id int not null default 0,                           -- 0 and less: enqueued by hand (minus the queue's id)
  source_key text,
  state text not null default 'pending' check (state in ('pending', 'queued', 'launching', 'running')),
  priority smallint not null default 0,
  fairness_key text not null default '',
  limits text[],                                              -- bucket names; null = not limited
  write_back bool not null default false,                     -- the source has a status column
  task text not null,
  args jsonb,                                                 -- null = in rowlock.payload
  runner bigint,
  token uuid,
  started_at timestamptz,
  infra_tries smallint not null default 0,
  app_tries smallint not null default 0,
  site_tries smallint not null default 0,
  effect text,                                                -- an outside effect was begun and not ended
  cancel text,                                                -- the reason, where somebody asked
  progress jsonb,
  failure jsonb,                                              -- of the last attempt
  created_at timestamptz not null default clock_timestamp(),
  status_before text,                                         -- the row's status when it was taken
  -- attempts in a row that the platform kept from starting or ended
  interruptions smallint not null default 0
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
create unique index active_source on rowlock.active(source_id, source_key);             -- the dedupe
-- order within a lane, "due yet?"
create index active_lane on rowlock.active(lane, due) where due is not null;
create index active_claimed on rowlock.active(claimed_at) where claimed_at is not null; -- sweeps, counts
-- Those that somebody should hear of. In no start and no claim: only an interruption or a verdict changes the column.
create index active_interrupted on rowlock.active(queue_id) where interruptions > 2;

-- Arguments above a kilobyte: moving a run to `done` must not copy them.
create table rowlock.payload(id uuid primary key, args jsonb not null);

-- Ended runs, a partition a day (UTC); schema_end.sql gives finished_at its default.
create table rowlock.done(
  id uuid not null, queue_id int not null, attempt int not null, source_id int not null, source_key text,
  state text not null check (state in ('succeeded', 'dead', 'unknown', 'canceled')),
  priority smallint not null, fairness_key text not null, limits text[], write_back bool not null, task text not null,
    args jsonb,
  infra_tries smallint not null, app_tries smallint not null, site_tries smallint not null,
  effect text, progress jsonb, started_at timestamptz, created_at timestamptz not null,
  finished_at timestamptz not null, result jsonb, failure jsonb,
  status_before text,
  left_alone text                                             -- why the row's status was left alone; null = it was not
    check (left_alone in ('changed', 'gone', 'newer'))
) partition by range (finished_at);
-- A publication of all tables refuses updates and deletes of a table without an identity. `full` costs nothing while no
-- change is decoded, and no index. The same below.
alter table rowlock.done replica identity full;
create index done_id on rowlock.done(id);
-- rows come in this order: a few bytes a day, for metrics
create index done_finished on rowlock.done using brin(finished_at);
create index done_attention on rowlock.done(queue_id, finished_at) where state in ('dead', 'unknown');

-- One waiting line for each (queue, priority, fairness key, limits). Written by the claimer alone.
create table rowlock.lane(
  -- derived (lane_of): an enqueuer needs no row of this table
  id bigint primary key,
  queue_id int not null, priority smallint not null, fairness_key text not null,
  buckets int[] not null default '{}',
  -- look at it then; null = asleep; while blocked: since when
  at timestamptz,
  blocked_by int,                                             -- the bucket it waits for
  floor timestamptz not null default '-infinity',             -- no waiting run of this lane is due earlier
  -- may be below zero for a moment: a claim can see a run before its event
  pending int not null default 0
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0);
create index lane_due on rowlock.lane(queue_id, priority desc, at) where blocked_by is null and at is not null;
create index lane_blocked on rowlock.lane(blocked_by, at) where blocked_by is not null;

-- One limit in force. Written by the claimer alone.
create table rowlock.bucket(
  id int generated always as identity primary key,
  name text not null, rule text not null,
  max_running int, running int not null default 0,
  rate float8, burst float8, tokens float8 not null default 0, tokens_at timestamptz not null default clock_timestamp(),
  wake_at timestamptz, has_waiters bool not null default false
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0);
-- Names are unique by a digest: whatever a caller or a column holds, an index takes no more than 2,704 bytes.
create unique index bucket_name on rowlock.bucket(md5(name));
create index bucket_rule on rowlock.bucket(md5(rule));
create index bucket_wake on rowlock.bucket(wake_at) where wake_at is not null;

-- Events for the claimer, inserted by everybody in the transaction of the change: no counter row is hot, nobody waits
-- for anybody.
create table rowlock.inbox(
  lane bigint not null, queue_id int not null, priority smallint not null, fairness_key text not null, limits text[],
  -- earliest due of the runs that became pending; null = none did
  due timestamptz,
  n int not null default 0,                                   -- how many became pending (negative: ended while waiting)
  released int not null default 0,                            -- how many limited ones left the active states
  x xid8 not null default pg_current_xact_id()                -- lets a fold begin behind what was surely taken
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = off);
create index inbox_x on rowlock.inbox(x);
alter table rowlock.inbox replica identity full;

-- The events of one lane, taken together (functions/fold.sql).
create type rowlock.folded as (
  lane bigint, queue_id int, priority smallint, fairness_key text, limits text[], due timestamptz, n int, released int
);

-- The latest reading that the claimer wrote anything with: a clock that went forward and came back left stamps in the
-- future, which would wait until then. One row, written every two seconds at most, and never at rest.
create table rowlock.clock(
  one bool primary key default true check (one),
  latest timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0);
insert into rowlock.clock(latest) values (clock_timestamp());

-- Who runs things. A lease belongs to a runner, not to a run. Runner 0 is Kubernetes: kube jobs of contract Exit, whose
-- lease is the kube job itself.
create table rowlock.runner(
  id bigint generated by default as identity primary key,
  name text not null, lease_until timestamptz not null, dead bool not null default false,
  -- so that a lease that was stamped in the future can be told
  lease_seconds float8 not null default 3600
) with (fillfactor = 50);
insert into rowlock.runner(id, name, lease_until) values (0, 'kubernetes', 'infinity');

create table rowlock.cancel_note(runner bigint not null, id uuid not null, primary key (runner, id));

-- Why a runner is gone: ends of containers and pods as Kubernetes told them, to be joined to the runs that were held
-- there (functions/tell_end_v1.sql). container '' = of the pod as a whole: a state, which may be told again, where the
-- others are events.
create table rowlock.host_end(
  queue_id int not null, host text not null, container text not null,
  told_at timestamptz not null default clock_timestamp(), failure jsonb not null,
  runs uuid[],                                                -- all that were held there; null = not reckoned yet
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

-- Runs that could not even be ended: as they were, and why. The command line and the housekeeper tell of them; nothing
-- reads them by itself.
create table rowlock.aside(
  id uuid primary key,
  at timestamptz not null default clock_timestamp(),
  reason text not null, message text not null,                -- of who set the run aside
  why text not null,                                          -- what kept it from being ended
  run jsonb not null                                          -- its row; large arguments stay in rowlock.payload
);

-- What keeps duties of an operator from their work, for `rowlock health`. Written where it changes, and once a minute
-- while it lasts; each operator has its own.
create table rowlock.duty_trouble(
  operator text not null, duty text not null,
  reason text not null, message text not null,
  since timestamptz not null, seen_at timestamptz not null default clock_timestamp(),
  primary key (operator, duty)
);

-- Outcomes to write into the users' own status columns, in order. Each is written over the mark of its own attempt and
-- over nothing else; what a table refuses waits for a time of its own, and others pass it.
create table rowlock.outbox(
  id bigint generated always as identity primary key,
  source_id int not null, source_key text not null, state text not null, error text,
  run uuid, attempt int,
  next_try timestamptz,                                       -- not before; null = not tried yet
  tries int not null default 0,
  -- what keeps it from being written, where that is worth a word
  why text
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = off);

-- All outcomes of one row, to write the newest alone.
create index outbox_row on rowlock.outbox(source_id, md5(source_key));

-- Keys already taken from sources without a status column; outlives `done`, or dropping history would run everything
-- again.
create table rowlock.seen(
  source_id int not null, key text not null,
  -- What the row was when it was taken: eight characters that stand for the version column, and a digest of its value;
  -- null = not kept.
  version text,
  taken_at timestamptz not null default now(),
  primary key (source_id, key)
);

-- What users and the command line read: a run is in exactly one of the two in any snapshot.
create view rowlock.run as
  select r.id, q.name as queue, r.task, r.state, r.attempt, s.name as source, r.source_key, r.priority, r.fairness_key,
    r.limits, r.due, r.claimed_at,
         r.started_at, null::timestamptz as finished_at, r.created_at, r.progress, null::jsonb as result, r.failure,
           r.cancel is not null as cancel_requested,
         r.effect, r.infra_tries, r.app_tries, r.site_tries, r.runner, r.lane, coalesce(r.args, p.args) as args
    from rowlock.active r join rowlock.queue q on q.id = r.queue_id left join rowlock.source s on s.id = r.source_id
      left join rowlock.payload p on p.id = r.id
  union all
  select d.id, q.name, d.task, d.state, d.attempt, s.name, d.source_key, d.priority, d.fairness_key, d.limits, null,
    null,
         d.started_at, d.finished_at, d.created_at, d.progress, d.result, d.failure, false,
         d.effect, d.infra_tries, d.app_tries, d.site_tries, null, null, coalesce(d.args, p.args)
    from rowlock.done d join rowlock.queue q on q.id = d.queue_id left join rowlock.source s on s.id = d.source_id left
      join rowlock.payload p on p.id = d.id;

revoke all on all tables in schema rowlock from public;
grant select on rowlock.run to rowlock_client;
