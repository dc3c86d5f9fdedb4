-- A person wants these on the site, whether their process runs or not. Failed and unknown ones move only once their run
-- is requeued. Returns what was marked.
create or replace function monitoring.post_v1(p_ids uuid[], p_by text) returns setof uuid
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  update ai_comments set approval = 'approved', approved_by = p_by, approved_at = clock_timestamp(),
    updated_at = clock_timestamp()
    where id = any(p_ids) and status in ('generated', 'failed', 'unknown') and comment_content is not null returning id
$$;
revoke all on function monitoring.post_v1 from public;
