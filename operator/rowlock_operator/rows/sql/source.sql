-- name: claim
-- Moves up to n pending rows of a user's table into the ledger and marks them. Only rows that became runs are marked,
-- and keys with an active run are left out: a row which its user sets back to pending while its run is active is
-- neither lost nor run twice at once.
{in_order}
with {batch} as materialized (
  select {new_id} as id, t.{key} as native_key, t.{key}::text collate "default" as source_key, {args} as args,
    {fairness} as fairness_key, {limits} as limits, {was} as was,
         {version} as version
    from {table} t
   where ({pending}) {beyond} {unseen} {takeable} and {inactive} {unsaturated} {prefilter}
   order by {order} limit %(n)s {lock}),
{bounded}
{remember_key}
i as (
  insert into rowlock.active(id, lane, due, queue_id, source_id, source_key, priority, fairness_key, limits, write_back,
    task, args, status_before)
    select c.id, rowlock.lane_of(%(queue)s, %(priority)s::smallint, c.fairness_key, c.limits), clock_timestamp(),
      %(queue)s, %(source)s, c.source_key, %(priority)s,
           c.fairness_key, c.limits, %(write_back)s, %(task)s, case when pg_column_size(c.args) <= 1000 then c.args end,
             c.was
      from c {fresh} on conflict (source_id, source_key) do nothing
    returning id, lane, source_key, fairness_key, limits, due),
large as (
  insert into rowlock.payload(id, args) select c.id, c.args from c where pg_column_size(c.args) > 1000
    and c.id in (select i.id from i)),
{mark}
event as (
  insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n)
    select i.lane, %(queue)s, %(priority)s, min(i.fairness_key), max(i.limits), min(i.due), count(*) from i
      group by i.lane)
select (select count(*) from i), (select source_key from c order by native_key desc limit 1), {to_check}, {fresh_count},
       (select count(*) from {batch}) - (select count(*) from c)

-- name: bounded
-- A throttled key takes no more places than it may have waiting: its further rows stay in the table, locked to the end
-- of this statement, and that is all.
c as materialized (
  select f.* from (select e.*, row_number() over (partition by e.fairness_key order by e.place) as nth
                     from (select b.*, row_number() over () as place from batch b) e) f
   where f.nth <= %(per_key)s),

-- name: place
-- Where the pending rows end, in the order of claiming.
{in_order}
select {place} from {table} t where ({pending}) order by {backwards} limit 1

-- name: beyond
-- Behind the place up to which a look found nothing but rows of keys that have enough waiting.
and ({order_columns}) {after} ({values})

-- name: read_row
-- Arguments of one row as it is now, for a requeue: kept in the ledger, which puts the key as text for $1.
select {args} from {table} t where t.{key} = $1::{key_type}

-- name: head
-- The key of the row that a claim would take first.
select t.{key}::text collate "default" from {table} t
 where ({pending}) {unseen} {takeable} and not exists (select from rowlock.active a where a.source_id = %(source)s
   and a.source_key = t.{key}::text collate "default") {unsaturated}
 order by {order} limit 1 {lock}

-- name: in_order
-- Where an index has the rows in order, they are read in order, whatever the statistics say of how many wait: 103 ms a
-- batch without it where a table was empty when it was last looked at.
set local enable_sort = off; set local enable_bitmapscan = off;

-- name: lock
for update of t skip locked

-- name: mark_status
-- By the key as text, cast back: a join with what was taken would compare each with each, since nothing is known of how
-- many there are.
marked as (update {table} t set {status} = %(claimed)s from i where t.{key} = i.source_key::{key_type}
  returning t.{status}::text as status),

-- name: to_check
-- Keys of rows to look at again, where the mark of one did not take, or where something may undo it that RETURNING does
-- not see: a trigger after the update or instead of it, a rule, a view that the row leaves, a partition's own trigger.
-- An ordinary table without any costs two look-ups.
case when (select count(*) from marked where status = %(claimed)s) <> (select count(*) from i)
       or exists (select from pg_catalog.pg_class r where r.oid = {regclass}
         and (r.relkind <> 'r' or r.relhasrules or r.relrowsecurity or r.relhassubclass))
       or exists (select from pg_catalog.pg_trigger g where g.tgrelid = {regclass} and not g.tgisinternal
         and g.tgtype & 16 <> 0)
     then (select array_agg(source_key) from i) end

-- name: to_check_all
(select array_agg(source_key) from i)

-- name: mark_apart
-- A table with rules for its updates refuses to be updated within another statement.
update {table} t set {status} = %(claimed)s where t.{key} = any(%(keys)s::{key_type}[])

-- name: read_back
-- What the rows say now.
select k.key, t.{key} is not null, t.{status}::text from unnest(%(keys)s::text[]) k(key)
  left join {table} t on t.{key} = k.key::{key_type}

-- name: remember_key
-- Before the run is made, and only what is remembered here for the first time (or outdated) becomes one: another
-- dispatcher may have taken the row after our picture of the table, and its run may have ended by now, so that neither
-- the picture nor the key of an active run would stop us.
remembered as (
  insert into rowlock.seen as s (source_id, key, version, taken_at) select %(source)s, c.source_key, c.version,
    statement_timestamp() from c
    on conflict (source_id, key) do update set version = excluded.version, taken_at = excluded.taken_at where {outdated}
    returning key),

-- name: version
-- Which value the row has, in few characters.
({version_of} || md5(coalesce('=' || {column}::text collate "default", '')))

-- name: outdated_never
false

-- name: outdated_version
-- What was taken before versions were kept, or by another column, is taken for the present one (the auditor notes it).
(s.version <> {now_is} and left(s.version, 8) = {version_of})

-- name: outdated_seconds
s.taken_at <= statement_timestamp() - make_interval(secs => {seconds})

-- name: fresh
where c.source_key in (select key from remembered)

-- name: inactive
-- Keys are compared in the collation of the ledger's own indexes, whatever that of the column: with another one each
-- look would read all runs of the source. Asked row by row, whatever the planner thinks of the number of runs: a join
-- would read all runs of the source for each batch.
(select true from rowlock.active a where a.source_id = %(source)s and a.source_key = t.{key}::text collate "default"
  limit 1) is null

-- name: new_id
-- rowlock.new_id() written out: calling it 500 times takes as long as the rest of the insert.
(lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
  || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid

-- name: unseen
and not exists (select from rowlock.seen s where s.source_id = %(source)s and s.key = t.{key}::text collate "default"
  and not coalesce({outdated}, false))

-- name: behind_cursor
-- The cursor is a shortcut: it misses rows that commit late with a small key, so a look without it follows now and
-- then.
and (%(cursor)s is null or t.{key} > %(cursor)s)

-- name: unsaturated
-- Keys that have enough waiting in the ledger are left out, so that a throttled key never fills the window.
and not ({fairness} = any(%(saturated)s::text[]))

-- name: prefilter
-- Without an index for the order, sort keys only (bounded by the limit) and lock these; sorting whole rows under a lock
-- would sort the table.
and t.{key} = any(array(select t.{key} from {table} t
   where ({pending}) {unseen} {takeable} and not exists (select from rowlock.active a where a.source_id = %(source)s
     and a.source_key = t.{key}::text collate "default") {unsaturated} order by {order} limit %(n)s))

-- name: explain
-- The plan of the claim's look, for advice on an index.
explain (format json) select t.{key} from {table} t where ({pending}) order by {order} limit %(n)s {lock}

-- name: look
-- One branch of the poll: the source's id, and whether a row is pending.
select %(source)s, exists (select from {table} t where ({pending}) {unseen} {takeable})

-- name: poll
-- Before the branches: fetched in steps, so that one that takes too long does not take the answers of the others with
-- it.
declare rowlock_poll no scroll cursor for

-- name: fetch
fetch %(n)s from rowlock_poll

-- name: count_pending
-- Capped: exact where it matters, never a count of a million rows.
select count(*) from (select from {table} t where ({pending}) {unseen} limit %(cap)s) x

-- name: left_out
-- Pending rows that cannot become runs: how many have no key, how many are too large, in how many a key is too long.
-- Capped.
select count(*) filter (where x.keyless), count(*) filter (where x.large), count(*) filter (where x.long)
  from (select {keyless} as keyless, {large} as large, {long} as long from {table} t
         where ({pending}) {unseen} and ({keyless} or {large} or {long}) limit %(cap)s) x

-- name: windows
-- What waits in the ledger of some sources, by fairness key.
select source_id, fairness_key, count(*) from rowlock.active where source_id = any(%(sources)s) and started_at is null
  group by 1, 2

-- name: forgets
-- Whether keys were forgotten since we last asked.
select forgets from rowlock.source where id = %(source)s

-- name: note_versions
-- The next remembered keys get the present version of their row, where none of this column was noted: they were taken
-- without, or by another column.
with page as (select key from rowlock.seen where source_id = %(source)s and key > %(after)s order by key limit %(n)s),
noted as (
  update rowlock.seen s set version = {version} from page p join {table} t on t.{key} = p.key::{key_type}
   where s.source_id = %(source)s and s.key = p.key and (s.version is null or left(s.version, 8) <> {version_of})
     returning 1)
select max(key), count(*), (select count(*) from noted) from page

-- name: marks
-- The next rows in the order of the key, whatever indexes the table has: the last key, how many, and those that carry
-- our mark and that nobody holds.
with page as materialized (
  select t.{key} as key, t.{status}::text as status from {table} t where t.{key} is not null and {after}
    order by t.{key} limit %(n)s)
select (select p.key::text from page p order by p.key desc limit 1), (select count(*) from page),
       array(select p.key::text from page p where p.status = %(claimed)s and {unheld} order by p.key)

-- name: marks_again
select p.{key}::text from {table} p where p.{key} = any(%(keys)s::text[]::{key_type}[])
  and p.{status}::text = %(claimed)s and {unheld}

-- name: unheld
-- Neither an active run nor an outcome on its way, of any source of this table: another name or generation of it may
-- hold the row.
not exists (select from rowlock.active a where a.source_key = p.{held_key}::text collate "default"
  and a.source_id = any(%(same)s))
and not exists (select from rowlock.outbox o where md5(o.source_key) = md5(p.{held_key}::text)
  and o.source_id = any(%(same)s))

-- name: same_table
select array_agg(s.id) from rowlock.source s join rowlock.source mine on mine.relation = s.relation
  where mine.id = %(source)s

-- name: waiting_keys
-- Keys of runs that have not started, to see whether their rows are still there: a page, in the order of the index.
select id::text, source_key from rowlock.active
 where source_id = %(source)s and state in ('pending', 'queued') and (%(after)s::text is null or source_key > %(after)s)
 order by source_key limit %(n)s

-- name: gone_keys
select k.key from unnest(%(keys)s::text[]) k(key) where not exists (select from {table} t
  where t.{key} = k.key::{key_type})

-- name: lock_rows
-- What the rows say, and nobody changes them from now on; those that somebody else holds are left out. Not FOR UPDATE:
-- who only refers to a row (a foreign key) does not keep us from writing its status.
select k.key, t.{status}::text from unnest(%(keys)s::text[]) k(key) join {table} t on t.{key} = k.key::{key_type}
  for no key update of t skip locked

-- name: write_back
-- Outcomes into the user's status column. The rows are locked and were looked at; the condition once more is for a row
-- that a view shows twice.
update {table} t set {status} = w.value::{status_type} {error}
  from (select k.key::{key_type} as key, k.value, k.error, k.requeued
          from unnest(%(keys)s::text[], %(values)s::text[], %(errors)s::text[], %(requeued)s::bool[]) k(key, value,
            error, requeued)) w
 where t.{key} = w.key and (t.{status}::text = %(claimed)s or (w.requeued and t.{status}::text = any(%(ours)s::text[])))

-- name: outbox_take
select id, source_key, state, error, run::text, attempt from rowlock.outbox_take_v1(%(source)s, %(n)s, %(again)s)

-- name: outbox_newer
select source_key, active from rowlock.outbox_newer_v1(%(source)s, %(keys)s::text[], %(runs)s::uuid[],
  %(attempts)s::int[], %(last)s::bigint[])

-- name: outbox_settle
select rowlock.outbox_settle_v1(%(ids)s::bigint[], %(runs)s::uuid[], %(whys)s::text[])

-- name: outbox_hold
select rowlock.outbox_hold_v1(%(ids)s::bigint[], %(why)s, %(first)s, %(longest)s, %(quiet)s)

-- name: user_table_settings
-- Neither somebody else's lock on one table nor a statement that reads all of it must hold up the others. What we write
-- hints at nothing, and an estimate that is wrong starts no compiler. All of it `local`, because PgBouncer lends the
-- session to others.
set local lock_timeout = %(lock_ms)s; set local statement_timeout = %(statement_ms)s; set local rowlock.hint = off;
set local jit = off

-- name: savepoint
savepoint rowlock

-- name: rollback_to_savepoint
rollback to savepoint rowlock

-- name: relation
-- What the name is, and what we may do with it.
select c.oid, c.relkind, c.reltuples, current_user::text, has_schema_privilege(n.oid, 'usage')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = %(schema)s and c.relname = %(table)s

-- name: attributes
-- The seventh: nothing bounds its values (enums, numbers, times and ranges are small whatever they hold). The eighth:
-- it can be written, if need be by a trigger INSTEAD OF UPDATE (bits 64 and 16).
select a.attname, format_type(a.atttypid, a.atttypmod), a.attnum, a.attnotnull, a.attgenerated <> '',
  t.typcategory = 'S',
       t.typlen = -1 and a.atttypmod = -1 and t.typcategory in ('S', 'U', 'A', 'C'),
       pg_column_is_updatable(a.attrelid, a.attnum, false)
         or exists (select from pg_trigger g where g.tgrelid = a.attrelid and g.tgtype & 80 = 80),
       has_column_privilege(a.attrelid, a.attnum, 'select'), has_column_privilege(a.attrelid, a.attnum, 'update')
  from pg_attribute a join pg_type t on t.oid = a.atttypid where a.attrelid = %(oid)s and a.attnum > 0
    and not a.attisdropped

-- name: unique_keys
-- The sets of columns that identify a row and hold this one, the smallest first.
select (select array_agg(a.attname::text order by k.position)
  from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality k(number, position)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number)
  from pg_index i
 where i.indrelid = %(oid)s and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
   and %(number)s = any(i.indkey[0:i.indnkeyatts - 1])
 order by i.indnkeyatts

-- name: checks
-- CHECK constraints on one column alone: they can be asked without a row.
select pg_get_expr(conbin, conrelid) from pg_constraint where conrelid = %(oid)s and contype = 'c'
  and conkey = array[%(number)s]::smallint[]

-- name: update_rules
-- Rules that act on an update; an INSTEAD without a condition replaces it.
select rulename::text, is_instead and ev_qual = '<>' from pg_rewrite where ev_class = %(oid)s and ev_type = '2'
  and ev_enabled <> 'D' order by 2 desc, 1

-- name: marked_visible
-- The plan of a look for marked rows; where the view's own condition excludes them, the planner says so (it reads
-- nothing).
set local constraint_exclusion = on;
explain (format json) select from {table} t where t.{status} = %(claimed)s::{status_type}

-- name: status_check
-- What the column would hold, and whether its checks take it.
select {status}::text, {checks} from (select %(value)s::text::{status_type} as {status}) t

-- name: index_is_partial
select indpred is not null from pg_index where indexrelid = (select c.oid from pg_class c
  join pg_namespace n on n.oid = c.relnamespace where c.relname = %(index)s and c.relkind in ('i', 'I') limit 1)
