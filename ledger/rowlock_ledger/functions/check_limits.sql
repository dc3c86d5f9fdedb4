-- Every limit must have a rule: a name that nobody registered would be no limit at all.
create or replace function rowlock.check_limits(p_limits text[]) returns void
language plpgsql stable set search_path = rowlock, pg_catalog, pg_temp
  set jit = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare v_limit text; v_unknown text[];
begin
  -- All is well nearly always: one statement says so.
  if cardinality(p_limits) <= 20 and array_ndims(p_limits) = 1 and not exists (
       select from unnest(p_limits) x where (octet_length(x) <= 8000 and position(E'\x01' in x) = 0
          and exists (select from rowlock.limit_rule r where r.name = split_part(x, ':', 1))) is not true) then
    return;
  end if;
  if cardinality(p_limits) > 20 or array_ndims(p_limits) > 1 then
    raise exception 'p_limits holds % names, more than 20, or is not a plain list', cardinality(p_limits)
      using errcode = 'RW002',
      hint = 'A run of a RowSource has at most 8 limits. Pass array[''rule:value'', ...].';
  end if;
  foreach v_limit in array p_limits loop
    perform rowlock.check_text('a name in p_limits', v_limit, 8000,
      'Names are rule:value, such as per-customer:17; leave out what is not limited.');
    if position(E'\x01' in v_limit) > 0 then
      raise exception 'a name in p_limits holds the control character 1' using errcode = 'RW002',
        hint = 'Names are rule:value, such as per-customer:17.';
    end if;
  end loop;
  v_unknown := array(select distinct split_part(x, ':', 1) from unnest(p_limits) x
                      where not exists (select from rowlock.limit_rule r where r.name = split_part(x, ':', 1)));
  raise exception 'p_limits names a limit without a rule: %', rowlock.some(v_unknown) using errcode = 'RW002',
    hint = 'It would limit nothing. Rules registered here: '
      || rowlock.some(array(select r.name from rowlock.limit_rule r order by r.name limit 21)) ||
      '. The operator registers those of RowSources (spec.limits) as <source id>.<name>; '
         'others are made with rowlock.set_limit_v1 by the operator''s login.';
end $$;
revoke all on function rowlock.check_limits from public;
