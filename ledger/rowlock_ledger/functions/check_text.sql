-- One value that stands in an index or is carried through lanes and events.
create or replace function rowlock.check_text(p_what text, p_value text, p_most int, p_hint text) returns void
language plpgsql immutable set search_path = pg_catalog as $$
begin
  if p_value is null then
    raise exception '% is null', p_what using errcode = 'RW002', hint = p_hint;
  elsif octet_length(p_value) > p_most then
    raise exception '% has % bytes, more than %', p_what, octet_length(p_value), p_most using errcode = 'RW002',
      hint = p_hint;
  end if;
end $$;
revoke all on function rowlock.check_text from public;
