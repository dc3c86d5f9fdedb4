-- A failure that names every run that was there: nobody knows which of them the memory went to.
create or replace function rowlock.with_others(p_failure jsonb, p_runs uuid[]) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare v_n int := coalesce(cardinality(p_runs), 0); v_named int := least(v_n, 16); v_others text;
begin
  if v_n < 2 then return p_failure; end if;
  v_others := format(' %s runs ended there together: %s%s.', v_n, array_to_string(p_runs[1:v_named], ', '),
    case when v_n > v_named then format(' and %s more', v_n - v_named) else '' end);
  return p_failure || jsonb_build_object('runs', to_jsonb(p_runs),
    'message', rtrim(left(p_failure->>'message', 999 - length(v_others)), '. ') || '.' || v_others);
end $$;
revoke all on function rowlock.with_others from public;
