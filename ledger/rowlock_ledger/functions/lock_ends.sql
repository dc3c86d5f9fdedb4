-- One at a time: a sweep that has not seen an end which was told, and a telling that has not seen what was swept, would
-- miss each other.
create or replace function rowlock.lock_ends() returns void
language sql as $$ select pg_advisory_xact_lock(7700, 5) $$;
revoke all on function rowlock.lock_ends from public;
