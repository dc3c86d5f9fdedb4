-- name: transaction_settings
-- a person waits; `local`, because a pooled connection is somebody else's afterwards. The rest: values look
-- the same whatever the role has set.
set local statement_timeout = '60s';
set local lock_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
set local timezone = 'UTC';
set local datestyle = 'ISO, MDY';
set local intervalstyle = 'postgres';
set local bytea_output = 'hex';
set local extra_float_digits = 1;
set local array_nulls = on;
set local quote_all_identifiers = off

-- name: now
-- ages are told by the database's clock, as the due times are.
select clock_timestamp()

-- name: snapshot
-- several statements about one run must not see it before and after its start.
set transaction isolation level repeatable read, read only

-- name: may_read_tables
-- whether this login sees the ledger's own tables, or only the view.
select (has_table_privilege('rowlock.queue', 'select') and has_table_privilege('rowlock.lane', 'select')
   and has_table_privilege('rowlock.bucket', 'select') and has_table_privilege('rowlock.runner', 'select')
   and has_table_privilege('rowlock.active', 'select')
   and has_table_privilege('rowlock.done', 'select') and has_table_privilege('rowlock.inbox', 'select')
   and has_table_privilege('rowlock.source', 'select')) as may
