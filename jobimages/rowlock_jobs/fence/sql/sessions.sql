-- What a session must be before and after a call or a task, and how those of a dead process end.

-- name: pin
-- In front of every call of the ledger, in the same round trip and the same implicit transaction. What a role or a
-- database may have changed (ALTER ROLE ... SET) and a call relies on: each statement sees what was committed before
-- it, and only our own bounds end it. The one way that PgBouncer in transaction mode cannot lose or leak (a startup
-- option it may refuse, a SET it hands to somebody else).
set transaction isolation level read committed, read write;
set local statement_timeout = {statement_timeout_ms};
set local lock_timeout = 0;
set local array_nulls = on;
set local role to default;

-- name: pin_task
-- What a task's sessions rely on, whatever a role or a database has set (ALTER ROLE ... SET): values look the same
-- everywhere, and a task may think between two statements, its bound is its hard limit. {scope} is `session` once a
-- connection, or `local` in each transaction where a pooler lends the session to others. The name is the process's own,
-- behind a pooler only while the transaction is. A server that works for a client which is gone notices it within
-- seconds. The isolation is in each BEGIN; timeouts of the task's own statements are the role's.
set {scope} application_name = '{session_name}';
set {scope} client_connection_check_interval = 1000;
set {scope} tcp_keepalives_idle = 5;
set {scope} tcp_keepalives_interval = 2;
set {scope} tcp_keepalives_count = 3;
set {scope} idle_in_transaction_session_timeout = 0;
set {scope} idle_session_timeout = 0;
set {scope} timezone = 'UTC';
set {scope} datestyle = 'ISO, MDY';
set {scope} intervalstyle = 'postgres';
set {scope} bytea_output = 'hex';
set {scope} extra_float_digits = 1;
set {scope} array_nulls = on;

-- name: pin_finish
-- In front of the finish in a task's own transaction. However long it waits for a lock: the parent keeps the lease
-- meanwhile, the hard limit is the bound. What gives up here does all its work again.
set local statement_timeout = 0;
set local lock_timeout = 0;
-- A role that a task took on for its rows may call no fence.
set local session authorization default;
set local role to default;

-- name: reset_task
-- Between two runs, everything that a session can hold for the next one. DISCARD ALL without its DISCARD PLANS (they
-- pass nothing on, and planning the finish anew costs more than all of this), in one message. {seed} is a number from
-- -1 to 1: a task that seeded random() must not tell the next one's. Few statements, for each answer is read: with
-- `set seed` in front of a select the message takes three times as long.
close all;
set session authorization default;
reset role;
reset all;
deallocate all;
unlisten *;
discard temp;
discard sequences;
select pg_catalog.setseed({seed}), pg_catalog.pg_advisory_unlock_all();

-- name: given_at_start
-- The settings with which the client began this session: RESET ALL returns to them, and a change of the server's
-- configuration leaves them alone.
select pg_catalog.lower(name) from pg_catalog.pg_settings where source = 'client'

-- name: reset_pooled
-- The same for a server session that a pooler lends to one transaction after the other, at its begin and at its end.
-- Prepared statements stay: they are the pooler's own, which knows them by name. Its server session may have begun in
-- another encoding than ours.
close all;
set session authorization default;
reset role;
reset all;
set session client_encoding = 'UTF8';
unlisten *;
select pg_catalog.pg_advisory_unlock_all();
discard temp;
discard sequences;

-- name: own_process
-- The server process behind a connection: a pooler's clients are told another one. Also: whether a connection kept from
-- an earlier run lives.
select pg_backend_pid()

-- name: end_sessions
-- What a dead process left at work in PostgreSQL would go on and keep its locks. The name is that process's own.
select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = %(name)s
  and usename = session_user and pid <> pg_backend_pid()

-- name: cancel_statements
-- What a process waits for in C code since before its soft limit. A statement that it began after that stays.
select count(pg_cancel_backend(pid)) from pg_stat_activity
 where application_name = %(name)s and usename = session_user and pid <> pg_backend_pid()
   and state = 'active' and query_start < clock_timestamp() - make_interval(secs => %(running_seconds)s)
