-- Rows whose process runs and whose login and prompt still belong to it are taken by the sources; of each article's
-- discovered rows one fetches for all.
create or replace function monitoring.mark_runnable(p_id uuid) returns void
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  with wanted as (
    select c.id, m.status = 'running' and m.is_active and (c.status not in ('prepared', 'generating')
      or m.generation_stopped is null) and exists (select from monitoring_process_logins l
      where l.monitoring_process_id = m.id and l.mymoment_login_id = c.mymoment_login_id and l.is_active)
             and exists (select from monitoring_process_prompts t where t.monitoring_process_id = m.id
               and t.prompt_template_id = c.prompt_template_id and t.is_active) as runnable
      from ai_comments c join monitoring_processes m on m.id = c.monitoring_process_id
     where m.id = p_id and c.status in ('discovered', 'preparing', 'prepared', 'generating', 'generated')),
  first as (
    select distinct on (c.mymoment_article_id) c.id from ai_comments c join wanted w using (id)
     where c.status in ('discovered', 'preparing') and w.runnable order by c.mymoment_article_id,
       c.status = 'preparing' desc, c.created_at, c.id)
  update ai_comments c set runnable = w.runnable, prepares = case when c.status = 'discovered'
    then exists (select from first f where f.id = c.id) else c.prepares end
    from wanted w
   where c.id = w.id and (c.runnable, c.prepares) is distinct
     from (w.runnable, case when c.status = 'discovered' then exists (select from first f where f.id = c.id)
     else c.prepares end)
$$;
revoke all on function monitoring.mark_runnable from public;
