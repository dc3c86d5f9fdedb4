-- A person's word on generated comments: approve, reject, or wait again. Returns what was changed. Approved by hand is
-- posted after the process has ended, too.
create or replace function monitoring.decide_v1(p_ids uuid[], p_approval text, p_by text) returns setof uuid
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  update ai_comments set approval = p_approval, approved_by = case when p_approval = 'approved' then p_by end,
      approved_at = case when p_approval = 'approved' then clock_timestamp() end, updated_at = clock_timestamp()
    where id = any(p_ids) and status = 'generated' and approval <> p_approval returning id
$$;
revoke all on function monitoring.decide_v1 from public;
