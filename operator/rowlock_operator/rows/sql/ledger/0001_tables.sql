-- The ledger's tables. docs/states.md is the state table; docs/decisions/0001-ledger.md says why it has this shape.
-- No foreign keys between these tables: each insert of a run would lock its parent row.

create schema if not exists rowlock;

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
  deleted bool not null default false,                        -- its WorkQueue is gone: nothing is claimed; what is in hand goes back to pending
  succeeded_seconds int not null default 86400,               -- how long ended runs stay readable
  dead_seconds int not null default 2592000,
  changed_at timestamptz not null default clock_timestamp()
);

-- One RowSource. `spec` is the operator's own note of what it registered; the custom resource is the truth.
create table rowlock.source(
  id int generated always as identity primary key,
  name text not null unique,                                  -- namespace/name
  queue_id int not null,
  spec jsonb not null default '{}',
  changed_at timestamptz not null default clock_timestamp()
);

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
  id uuid primary key,                                        -- time-ordered: inserts stay at the right edge of the index
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
  created_at timestamptz not null default clock_timestamp()
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
create unique index active_source on rowlock.active(source_id, source_key);             -- the dedupe
create index active_lane on rowlock.active(lane, due) where due is not null;            -- order within a lane, "due yet?"
create index active_claimed on rowlock.active(claimed_at) where claimed_at is not null; -- sweeps, counts

-- Arguments above a kilobyte: moving a run to `done` must not copy them.
create table rowlock.payload(id uuid primary key, args jsonb not null);

-- Ended runs, a partition a day (UTC).
create table rowlock.done(
  id uuid not null, queue_id int not null, attempt int not null, source_id int not null, source_key text,
  state text not null check (state in ('succeeded', 'dead', 'unknown', 'canceled')),
  priority smallint not null, fairness_key text not null, limits text[], write_back bool not null, task text not null, args jsonb,
  infra_tries smallint not null, app_tries smallint not null, site_tries smallint not null,
  effect text, progress jsonb, started_at timestamptz, created_at timestamptz not null,
  finished_at timestamptz not null default clock_timestamp(), result jsonb, failure jsonb
) partition by range (finished_at);
create index done_id on rowlock.done(id);
create index done_finished on rowlock.done using brin(finished_at);   -- rows come in this order: a few bytes a day, for metrics
create index done_attention on rowlock.done(queue_id, finished_at) where state in ('dead', 'unknown');

-- One waiting line for each (queue, priority, fairness key, limits). Written by the claimer alone.
create table rowlock.lane(
  id bigint primary key,                                      -- derived (lane_of): an enqueuer needs no row of this table
  queue_id int not null, priority smallint not null, fairness_key text not null,
  buckets int[] not null default '{}',
  at timestamptz,                                             -- look at it then; null = asleep; while blocked: since when
  blocked_by int,                                             -- the bucket it waits for
  floor timestamptz not null default '-infinity',             -- no waiting run of this lane is due earlier
  pending int not null default 0                              -- may be below zero for a moment: a claim can see a run before its event
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
create index lane_due on rowlock.lane(queue_id, priority desc, at) where blocked_by is null and at is not null;
create index lane_blocked on rowlock.lane(blocked_by, at) where blocked_by is not null;

-- One limit in force. Written by the claimer alone.
create table rowlock.bucket(
  id int generated always as identity primary key,
  name text not null unique, rule text not null,
  max_running int, running int not null default 0,
  rate float8, burst float8, tokens float8 not null default 0, tokens_at timestamptz not null default clock_timestamp(),
  wake_at timestamptz, has_waiters bool not null default false
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
create index bucket_rule on rowlock.bucket(rule);
create index bucket_wake on rowlock.bucket(wake_at) where wake_at is not null;

-- Events for the claimer, inserted by everybody in the transaction of the change: no counter row is hot, nobody waits
-- for anybody.
create table rowlock.inbox(
  lane bigint not null, queue_id int not null, priority smallint not null, fairness_key text not null, limits text[],
  due timestamptz,                                            -- earliest due of the runs that became pending; null = none did
  n int not null default 0,                                   -- how many became pending (negative: ended while waiting)
  released int not null default 0,                            -- how many limited ones left the active states
  x xid8 not null default pg_current_xact_id()                -- lets a fold begin behind what was surely taken
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
create index inbox_x on rowlock.inbox(x);

-- Who runs things. A lease belongs to a runner, not to a run. Runner 0 is Kubernetes: kube jobs of contract Exit, whose
-- lease is the kube job itself.
create table rowlock.runner(
  id bigint generated by default as identity primary key,
  name text not null, lease_until timestamptz not null, dead bool not null default false
) with (fillfactor = 50);
insert into rowlock.runner(id, name, lease_until) values (0, 'kubernetes', 'infinity');

create table rowlock.cancel_note(runner bigint not null, id uuid not null, primary key (runner, id));

-- Outcomes to write into the users' own status columns, in order.
create table rowlock.outbox(
  id bigint generated always as identity primary key,
  source_id int not null, source_key text not null, state text not null, error text
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

-- Keys already taken from sources without a status column; outlives `done`, or dropping history would run everything
-- again.
create table rowlock.seen(source_id int not null, key text not null, primary key (source_id, key));

-- What users and the command line read: a run is in exactly one of the two in any snapshot.
create view rowlock.run as
  select r.id, q.name as queue, r.task, r.state, r.attempt, s.name as source, r.source_key, r.priority, r.fairness_key, r.limits, r.due, r.claimed_at,
         r.started_at, null::timestamptz as finished_at, r.created_at, r.progress, null::jsonb as result, r.failure, r.cancel is not null as cancel_requested,
         r.effect, r.infra_tries, r.app_tries, r.site_tries, r.runner, r.lane, coalesce(r.args, p.args) as args
    from rowlock.active r join rowlock.queue q on q.id = r.queue_id left join rowlock.source s on s.id = r.source_id left join rowlock.payload p on p.id = r.id
  union all
  select d.id, q.name, d.task, d.state, d.attempt, s.name, d.source_key, d.priority, d.fairness_key, d.limits, null, null,
         d.started_at, d.finished_at, d.created_at, d.progress, d.result, d.failure, false,
         d.effect, d.infra_tries, d.app_tries, d.site_tries, null, null, coalesce(d.args, p.args)
    from rowlock.done d join rowlock.queue q on q.id = d.queue_id left join rowlock.source s on s.id = d.source_id left join rowlock.payload p on p.id = d.id;
