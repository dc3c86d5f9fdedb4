-- Data that nobody can digest, against a server that cannot serve at the moment: only the first is anybody's fault who
-- could be set aside.
create or replace function rowlock.is_indigestible(p_sqlstate text) returns bool
language sql immutable set search_path = pg_catalog as $$
  select left(p_sqlstate, 2) not in ('08', '25', '40', '53', '55', '57', '58')
$$;
revoke all on function rowlock.is_indigestible from public;
