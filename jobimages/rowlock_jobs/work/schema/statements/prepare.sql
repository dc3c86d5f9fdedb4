-- prepare: one migration at a time (the lock ends with the transaction, so it works through PgBouncer), and the list of
-- what was applied. The tables go to `public`: a login named like a schema would otherwise put them there.
set local search_path = public;
set local lock_timeout = '60s';
set local statement_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
select pg_advisory_xact_lock(7700, 2);
do $$
begin
  -- `if not exists` asks for the right to create schemas even where there is nothing to create.
  if to_regnamespace('rowlock_domain') is null then
    create schema rowlock_domain;
  end if;
end $$;
create table if not exists rowlock_domain.migration(name text primary key, applied_at timestamptz not null default clock_timestamp());
