-- name: claim
-- Moves up to n pending rows of a user's table into the ledger and marks them. Only rows that became runs are marked, and keys with an active run are left
-- out: a row which its user sets back to pending while its run is active is neither lost nor run twice at once.
with c as materialized (
  select t.{key} as native_key, t.{key}::text as source_key, {args} as args, {fairness} as fairness_key, {limits} as limits
    from {table} t
   where ({pending}) {unseen} and not exists (select from rowlock.active a where a.source_id = %(source)s and a.source_key = t.{key}::text) {unsaturated} {prefilter}
   order by {order} limit %(n)s for update of t skip locked),
i as (
  insert into rowlock.active(id, lane, due, queue_id, source_id, source_key, priority, fairness_key, limits, write_back, task, args)
    select rowlock.new_id(), rowlock.lane_of(%(queue)s, %(priority)s::smallint, c.fairness_key, c.limits), clock_timestamp(), %(queue)s, %(source)s, c.source_key, %(priority)s,
           c.fairness_key, c.limits, %(write_back)s, %(task)s, case when pg_column_size(c.args) <= 1000 then c.args end
      from c on conflict (source_id, source_key) do nothing
    returning id, lane, source_key, fairness_key, limits, due),
large as (
  insert into rowlock.payload(id, args) select i.id, c.args from i join c using (source_key) where pg_column_size(c.args) > 1000),
{mark},
event as (
  insert into rowlock.inbox(lane, queue_id, priority, fairness_key, limits, due, n)
    select i.lane, %(queue)s, %(priority)s, min(i.fairness_key), max(i.limits), min(i.due), count(*) from i group by i.lane)
select (select count(*) from i), (select max(native_key)::text from c)

-- name: mark_status
marked as (update {table} t set {status} = %(claimed)s from c join i using (source_key) where t.{key} = c.native_key)

-- name: mark_seen
marked as (insert into rowlock.seen(source_id, key) select %(source)s, i.source_key from i on conflict do nothing)

-- name: unseen
-- The cursor is a shortcut: it misses rows that commit late with a small key, so a look without it follows now and then.
and not exists (select from rowlock.seen s where s.source_id = %(source)s and s.key = t.{key}::text) and (%(cursor)s is null or t.{key} > %(cursor)s)

-- name: unsaturated
-- Keys that have enough waiting in the ledger are left out, so that a throttled key never fills the window.
and not ({fairness} = any(%(saturated)s::text[]))

-- name: prefilter
-- Without an index for the order, sort keys only (bounded by the limit) and lock these; sorting whole rows under a lock would sort the table.
and t.{key} = any(array(select t.{key} from {table} t
   where ({pending}) {unseen} and not exists (select from rowlock.active a where a.source_id = %(source)s and a.source_key = t.{key}::text) {unsaturated} order by {order} limit %(n)s))

-- name: explain
-- The plan of the claim's look, for advice on an index.
explain (format json) select t.{key} from {table} t where ({pending}) order by {order} limit 500 for update of t skip locked

-- name: look
-- One branch of the poll: the source's id where a row is pending.
select %(source)s where exists (select from {table} t where ({pending}) {unseen})

-- name: count_pending
-- Capped: exact where it matters, never a count of a million rows.
select count(*) from (select from {table} t where ({pending}) {unseen} limit %(cap)s) x

-- name: window
-- What waits in the ledger of one source, by fairness key.
select fairness_key, count(*) from rowlock.active where source_id = %(source)s and started_at is null group by 1

-- name: waiting_keys
-- Keys of runs that have not started, to see whether their rows are still there.
select id::text, source_key from rowlock.active where source_id = %(source)s and state in ('pending', 'queued') limit %(n)s

-- name: gone_keys
select k.key from unnest(%(keys)s::text[]) k(key) where not exists (select from {table} t where t.{key} = k.key::{key_type})

-- name: write_back
-- Outcomes into the user's status column; a row that its user has set to something of their own meanwhile is left alone.
update {table} t set {status} = w.value::{status_type} {error}
  from (select k.key::{key_type} as key, k.value, k.error from unnest(%(keys)s::text[], %(values)s::text[], %(errors)s::text[]) k(key, value, error)) w
 where t.{key} = w.key and t.{status}::text = any(%(ours)s::text[])

-- name: outbox_take
-- The oldest outcomes of one source; deleted in the transaction that writes them back.
delete from rowlock.outbox where id in (select id from rowlock.outbox where source_id = %(source)s order by id limit 500 for update skip locked) returning id, source_key, state, error

-- name: relation
-- What the name is, and what we may do with it.
select c.oid, c.relkind, c.reltuples, has_table_privilege(c.oid, 'select'), has_table_privilege(c.oid, 'update') or has_any_column_privilege(c.oid, 'update')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = %(schema)s and c.relname = %(table)s

-- name: attributes
select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull from pg_attribute a where a.attrelid = %(oid)s and a.attnum > 0 and not a.attisdropped

-- name: unique_keys
-- Columns that alone identify a row.
select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
 where i.indrelid = %(oid)s and i.indisunique and i.indisvalid and i.indpred is null and i.indnkeyatts = 1

-- name: index_is_partial
select indpred is not null from pg_index where indexrelid = (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relname = %(index)s and c.relkind in ('i', 'I') limit 1)
