-- What the installer asks; {schema} is the name of a schema of ours.

-- name: is_there
-- False in a database that this schema was never installed in.
select to_regclass(%(name)s) is not null

-- name: lock
-- One at a time, whichever schema it is (locks.py, MIGRATIONS); it ends with the transaction.
select pg_advisory_xact_lock(7700, 2)

-- name: applied
select version from {schema}.migration order by version

-- name: add
insert into {schema}.migration(version) values (%(version)s)

-- name: remove
delete from {schema}.migration where version = %(version)s

-- name: bodies_unchecked
-- A test checks the bodies of all functions.
set local check_function_bodies = off
