-- A process as its MonitoringProcess asks for, with its logins, prompts and model; secrets arrive encrypted. Its status
-- is not touched. What is no longer named becomes inactive: its rows stay, nothing new is done for it.
create or replace function monitoring.apply_v1(p jsonb) returns void
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
declare v_id uuid := (p->>'id')::uuid; v_llm jsonb := p->'llm'; e jsonb;
begin
  insert into llm_provider_configurations as l(id, provider_name, model_name, base_url, api_key_encrypted, max_tokens,
    temperature, settings)
    values ((v_llm->>'id')::uuid, v_llm->>'provider', v_llm->>'model', v_llm->>'base_url', v_llm->>'api_key_encrypted',
      (v_llm->>'max_tokens')::int,
            (v_llm->>'temperature')::float8, coalesce(v_llm->'settings', '{}'))
    on conflict (id) do update set provider_name = excluded.provider_name, model_name = excluded.model_name,
      base_url = excluded.base_url,
      api_key_encrypted = excluded.api_key_encrypted, max_tokens = excluded.max_tokens,
        temperature = excluded.temperature, settings = excluded.settings,
      is_active = true, updated_at = clock_timestamp();
  insert into monitoring_processes as m(id, namespace, name, description, owner, llm_provider_id, site_driver, base_url,
    generate_only, hide_comments, category_filter,
      task_filter, search_filter, tab_filter, sort_option, article_limit, max_duration_minutes, settings)
    values (v_id, p->>'namespace', p->>'name', p->>'description', coalesce(p->>'owner', ''), (v_llm->>'id')::uuid,
      p->>'site_driver', p->>'base_url',
            (p->>'generate_only')::bool, (p->>'hide_comments')::bool, (p->>'category_filter')::int,
              (p->>'task_filter')::int, p->>'search_filter', p->>'tab_filter',
            p->>'sort_option', coalesce((p->>'article_limit')::int, 20), (p->>'max_duration_minutes')::int,
              coalesce(p->'settings', '{}'))
    on conflict (id) do update set name = excluded.name, description = excluded.description, owner = excluded.owner,
      llm_provider_id = excluded.llm_provider_id,
      site_driver = excluded.site_driver, base_url = excluded.base_url, generate_only = excluded.generate_only,
        hide_comments = excluded.hide_comments,
      category_filter = excluded.category_filter, task_filter = excluded.task_filter,
        search_filter = excluded.search_filter, tab_filter = excluded.tab_filter,
      sort_option = excluded.sort_option, article_limit = excluded.article_limit,
        max_duration_minutes = excluded.max_duration_minutes,
      settings = excluded.settings, is_active = true, updated_at = clock_timestamp(),
      -- A change is another chance for a model that refused everything, or for a budget that was spent.
      last_error = case when m.generation_stopped is null then m.last_error end, generation_stopped = null;
  for e in select * from jsonb_array_elements(p->'logins') loop
    insert into mymoment_logins as l(id, name, base_url, username_encrypted, password_encrypted, credentials_hash)
      values ((e->>'id')::uuid, e->>'name', p->>'base_url', e->>'username_encrypted', e->>'password_encrypted',
        e->>'credentials_hash')
      on conflict (id) do update set name = excluded.name, username_encrypted = excluded.username_encrypted,
        password_encrypted = excluded.password_encrypted,
        credentials_hash = excluded.credentials_hash, is_active = true, updated_at = clock_timestamp(),
        -- Another password is another chance: what was wrong with the old one is forgotten.
        state = case when l.credentials_hash is distinct from excluded.credentials_hash then 'ok' else l.state end,
        failed_logins = case when l.credentials_hash is distinct from excluded.credentials_hash then 0
          else l.failed_logins end,
        next_login_at = case when l.credentials_hash is distinct from excluded.credentials_hash then null
          else l.next_login_at end,
        last_error = case when l.credentials_hash is distinct from excluded.credentials_hash then null
          else l.last_error end;
    insert into monitoring_process_logins(monitoring_process_id, mymoment_login_id) values (v_id, (e->>'id')::uuid)
      on conflict (monitoring_process_id, mymoment_login_id) do update set is_active = true;
  end loop;
  for e in select * from jsonb_array_elements(p->'prompts') loop
    insert into prompt_templates(id, name, system_prompt, user_prompt_template, category)
      values ((e->>'id')::uuid, e->>'name', coalesce(e->>'system_prompt', ''), e->>'template', 'USER')
      on conflict (id) do update set name = excluded.name, system_prompt = excluded.system_prompt,
        user_prompt_template = excluded.user_prompt_template,
        is_active = true, updated_at = clock_timestamp();
    insert into monitoring_process_prompts(monitoring_process_id, prompt_template_id) values (v_id, (e->>'id')::uuid)
      on conflict (monitoring_process_id, prompt_template_id) do update set is_active = true;
  end loop;
  update monitoring_process_logins set is_active = false
   where monitoring_process_id = v_id and is_active and mymoment_login_id not in (select (x->>'id')::uuid
     from jsonb_array_elements(p->'logins') x);
  update monitoring_process_prompts set is_active = false
   where monitoring_process_id = v_id and is_active and prompt_template_id not in (select (x->>'id')::uuid
     from jsonb_array_elements(p->'prompts') x);
  perform monitoring.mark_runnable(v_id);
end $$;
revoke all on function monitoring.apply_v1 from public;
