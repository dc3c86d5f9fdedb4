-- First start of the embedded PostgreSQL: the three logins, the group roles of the contract, and who may do what in
-- schema public. Run by psql as the superuser, connected to database rowlock. Passwords come from the environment,
-- never from this text.
\set ON_ERROR_STOP on
\getenv operator_password ROWLOCK_OPERATOR_PASSWORD
\getenv worker_password ROWLOCK_WORKER_PASSWORD
\getenv app_password ROWLOCK_APP_PASSWORD
-- A statement that fails is written to the log as it is; these hold passwords.
set log_min_error_statement = panic;

create role rowlock_worker nologin;
create role rowlock_client nologin;

-- Owns the database and the ledger's schema. CREATEROLE and ADMIN: it makes and hands out the group roles in other
-- databases too.
create role rowlock_operator login createrole password :'operator_password';
grant rowlock_worker, rowlock_client to rowlock_operator with admin option;

create role rowlock_worker_login login password :'worker_password' in role rowlock_worker;

-- Your application: its own tables, and the ledger's client functions (enqueue, cancel, requeue).
create role app login password :'app_password' in role rowlock_client;

alter database rowlock owner to rowlock_operator;
revoke connect, temporary on database rowlock from public;
grant connect, temporary on database rowlock to rowlock_operator, rowlock_worker_login, app;

alter schema public owner to rowlock_operator;
grant usage, create on schema public to app;
grant usage on schema public to rowlock_worker;

-- The operator reads pending rows of the application's tables and writes their status; tasks work with them.
alter default privileges for role app in schema public grant select, update, trigger on tables to rowlock_operator;
alter default privileges for role app in schema public grant select, insert, update, delete on tables to rowlock_worker;
alter default privileges for role app in schema public grant usage, select on sequences to rowlock_worker;
-- The domain tables are migrated by the operator's login; the application fills them.
alter default privileges for role rowlock_operator in schema public grant select, insert, update, delete on tables to app;
alter default privileges for role rowlock_operator in schema public grant usage, select on sequences to app;
