-- Makes the caller the claimer until its transaction ends; false: somebody else is. One at a time in a database, under
-- an advisory lock of the transaction (works through PgBouncer in transaction mode).
create or replace function rowlock.claimer_lock() returns bool
language sql as $$ select pg_try_advisory_xact_lock(7700, 1) $$;
revoke all on function rowlock.claimer_lock from public;
