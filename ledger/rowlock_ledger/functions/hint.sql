-- The hint: a NOTIFY that ends the claimer's pause early. The poll stays the truth; whatever is not hinted at is found
-- within one pause.
--
-- A NOTIFY takes a lock that all commits of the database share and halves concurrent inserts, so it is sent only while
-- somebody asks for it: the listener holds the advisory lock (7700, 3) while few rows come, and lets go of it under
-- load. Asking costs no write and leaves nothing behind when the listener dies. Who finds the lock free holds its
-- shared side to the end of the transaction, so a long transaction that began under load can keep the hint away for as
-- long as it lasts. `set rowlock.hint = off` keeps a transaction from hinting: the dispatcher's own, and those that
-- PREPARE TRANSACTION (which refuses NOTIFY).
create or replace function rowlock.hint() returns void
language plpgsql set search_path = pg_catalog as $$
begin
  if not pg_try_advisory_xact_lock_shared(7700, 3) and coalesce(current_setting('rowlock.hint', true), '') <> 'off' then
    perform pg_notify('rowlock', '');
  end if;
end $$;
revoke all on function rowlock.hint from public;
