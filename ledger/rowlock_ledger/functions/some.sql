-- The first names of many, for a hint.
create or replace function rowlock.some(p_names text[]) returns text
language sql immutable parallel safe set search_path = pg_catalog as $$
  select coalesce(string_agg(left(n, 200), ', ' order by n) filter (where i <= 20), 'none') || case when count(*) > 20
    then ', ...' else '' end
    from (select n, row_number() over (order by n) i from unnest(p_names) n) x
$$;
revoke all on function rowlock.some from public;
