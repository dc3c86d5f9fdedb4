-- Where the installer notes what was applied. The tables themselves go to `public`, where tasks and users look for
-- them.

do $$
begin
  -- `if not exists` asks for the right to create schemas even where there is nothing to create.
  if to_regnamespace('rowlock_domain') is null then
    create schema rowlock_domain;
  end if;
end $$;

-- What was applied to this database, by the names that rowlock_ledger/install.py gives.
create table if not exists rowlock_domain.migration(
  version text primary key,
  applied_at timestamptz not null default clock_timestamp()
);
