-- What the operator, the command line and the tasks share. A changed function gets a _v2; the old form goes one release
-- later.

-- A process as its MonitoringProcess asks for, with its logins, prompts and model; secrets arrive encrypted. Its status
-- is not touched. What is no longer named becomes inactive: its rows stay, nothing new is done for it.
create or replace function monitoring.apply_v1(p jsonb) returns void
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
declare v_id uuid := (p->>'id')::uuid; v_llm jsonb := p->'llm'; e jsonb;
begin
  insert into llm_provider_configurations as l(id, provider_name, model_name, base_url, api_key_encrypted, max_tokens, temperature, settings)
    values ((v_llm->>'id')::uuid, v_llm->>'provider', v_llm->>'model', v_llm->>'base_url', v_llm->>'api_key_encrypted', (v_llm->>'max_tokens')::int,
            (v_llm->>'temperature')::float8, coalesce(v_llm->'settings', '{}'))
    on conflict (id) do update set provider_name = excluded.provider_name, model_name = excluded.model_name, base_url = excluded.base_url,
      api_key_encrypted = excluded.api_key_encrypted, max_tokens = excluded.max_tokens, temperature = excluded.temperature, settings = excluded.settings,
      is_active = true, updated_at = clock_timestamp();
  insert into monitoring_processes as m(id, namespace, name, description, owner, llm_provider_id, site_driver, base_url, generate_only, hide_comments, category_filter,
      task_filter, search_filter, tab_filter, sort_option, article_limit, max_duration_minutes, settings)
    values (v_id, p->>'namespace', p->>'name', p->>'description', coalesce(p->>'owner', ''), (v_llm->>'id')::uuid, p->>'site_driver', p->>'base_url',
            (p->>'generate_only')::bool, (p->>'hide_comments')::bool, (p->>'category_filter')::int, (p->>'task_filter')::int, p->>'search_filter', p->>'tab_filter',
            p->>'sort_option', coalesce((p->>'article_limit')::int, 20), (p->>'max_duration_minutes')::int, coalesce(p->'settings', '{}'))
    on conflict (id) do update set name = excluded.name, description = excluded.description, owner = excluded.owner, llm_provider_id = excluded.llm_provider_id,
      site_driver = excluded.site_driver, base_url = excluded.base_url, generate_only = excluded.generate_only, hide_comments = excluded.hide_comments,
      category_filter = excluded.category_filter, task_filter = excluded.task_filter, search_filter = excluded.search_filter, tab_filter = excluded.tab_filter,
      sort_option = excluded.sort_option, article_limit = excluded.article_limit, max_duration_minutes = excluded.max_duration_minutes,
      settings = excluded.settings, is_active = true, updated_at = clock_timestamp(),
      -- A change is another chance for a model that refused everything, or for a budget that was spent.
      last_error = case when m.generation_stopped is null then m.last_error end, generation_stopped = null;
  for e in select * from jsonb_array_elements(p->'logins') loop
    insert into mymoment_logins as l(id, name, base_url, username_encrypted, password_encrypted, credentials_hash)
      values ((e->>'id')::uuid, e->>'name', p->>'base_url', e->>'username_encrypted', e->>'password_encrypted', e->>'credentials_hash')
      on conflict (id) do update set name = excluded.name, username_encrypted = excluded.username_encrypted, password_encrypted = excluded.password_encrypted,
        credentials_hash = excluded.credentials_hash, is_active = true, updated_at = clock_timestamp(),
        -- Another password is another chance: what was wrong with the old one is forgotten.
        state = case when l.credentials_hash is distinct from excluded.credentials_hash then 'ok' else l.state end,
        failed_logins = case when l.credentials_hash is distinct from excluded.credentials_hash then 0 else l.failed_logins end,
        next_login_at = case when l.credentials_hash is distinct from excluded.credentials_hash then null else l.next_login_at end,
        last_error = case when l.credentials_hash is distinct from excluded.credentials_hash then null else l.last_error end;
    insert into monitoring_process_logins(monitoring_process_id, mymoment_login_id) values (v_id, (e->>'id')::uuid)
      on conflict (monitoring_process_id, mymoment_login_id) do update set is_active = true;
  end loop;
  for e in select * from jsonb_array_elements(p->'prompts') loop
    insert into prompt_templates(id, name, system_prompt, user_prompt_template, category) values ((e->>'id')::uuid, e->>'name', coalesce(e->>'system_prompt', ''), e->>'template', 'USER')
      on conflict (id) do update set name = excluded.name, system_prompt = excluded.system_prompt, user_prompt_template = excluded.user_prompt_template,
        is_active = true, updated_at = clock_timestamp();
    insert into monitoring_process_prompts(monitoring_process_id, prompt_template_id) values (v_id, (e->>'id')::uuid)
      on conflict (monitoring_process_id, prompt_template_id) do update set is_active = true;
  end loop;
  update monitoring_process_logins set is_active = false
   where monitoring_process_id = v_id and is_active and mymoment_login_id not in (select (x->>'id')::uuid from jsonb_array_elements(p->'logins') x);
  update monitoring_process_prompts set is_active = false
   where monitoring_process_id = v_id and is_active and prompt_template_id not in (select (x->>'id')::uuid from jsonb_array_elements(p->'prompts') x);
  perform monitoring.mark_runnable(v_id);
end $$;

-- Rows whose process runs and whose login and prompt still belong to it are taken by the sources; of each article's
-- discovered rows one fetches for all.
create or replace function monitoring.mark_runnable(p_id uuid) returns void
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  with wanted as (
    select c.id, m.status = 'running' and m.is_active and (c.status not in ('prepared', 'generating') or m.generation_stopped is null) and exists (select from monitoring_process_logins l where l.monitoring_process_id = m.id and l.mymoment_login_id = c.mymoment_login_id and l.is_active)
             and exists (select from monitoring_process_prompts t where t.monitoring_process_id = m.id and t.prompt_template_id = c.prompt_template_id and t.is_active) as runnable
      from ai_comments c join monitoring_processes m on m.id = c.monitoring_process_id
     where m.id = p_id and c.status in ('discovered', 'preparing', 'prepared', 'generating', 'generated')),
  first as (
    select distinct on (c.mymoment_article_id) c.id from ai_comments c join wanted w using (id)
     where c.status in ('discovered', 'preparing') and w.runnable order by c.mymoment_article_id, c.status = 'preparing' desc, c.created_at, c.id)
  update ai_comments c set runnable = w.runnable, prepares = case when c.status = 'discovered' then exists (select from first f where f.id = c.id) else c.prepares end
    from wanted w
   where c.id = w.id and (c.runnable, c.prepares) is distinct from (w.runnable, case when c.status = 'discovered' then exists (select from first f where f.id = c.id) else c.prepares end)
$$;

-- Asks for a start. Null: it was taken (or it runs already); else the reason why not. The task start_monitoring_process
-- makes it running; it goes before what other processes have waiting.
create or replace function monitoring.start_v1(p_id uuid, p_per_owner int default 10) returns text
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
declare m monitoring_processes;
begin
  select * into m from monitoring_processes where id = p_id and is_active for update;
  if not found then return 'NotFound'; end if;
  if m.status = 'running' or m.start_requested_at is not null then return null; end if;
  perform pg_advisory_xact_lock(7701, hashtext(m.owner));   -- two starts of one owner at once must not both be the last allowed one
  if (select count(*) from monitoring_processes o where o.owner = m.owner and o.is_active and (o.status = 'running' or o.start_requested_at is not null)) >= p_per_owner then
    return 'TooManyRunning';
  end if;
  update monitoring_processes set start_requested_at = clock_timestamp(), status = 'created', status_reason = 'Starting', error_message = null, last_error = null,
      last_error_at = null, started_at = null, stopped_at = null, discovery_empty_streak = 0, discovery_error = null, generation_stopped = null, updated_at = clock_timestamp() where id = p_id;
  perform rowlock.enqueue_v1(m.namespace || '/monitoring', 'start_monitoring_process', jsonb_build_object('process_id', p_id), 'start:' || p_id, 20);
  return null;
end $$;

-- From created to running, by the task. False: nobody asks for it any more.
create or replace function monitoring.run_v1(p_id uuid) returns bool
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
begin
  update monitoring_processes set status = 'running', status_reason = 'Started', started_at = clock_timestamp(), stopped_at = null, last_activity_at = clock_timestamp(),
      next_discovery_at = clock_timestamp(), start_requested_at = null, updated_at = clock_timestamp()
    where id = p_id and is_active and start_requested_at is not null;
  if not found then return false; end if;
  perform monitoring.mark_runnable(p_id);
  return true;
end $$;

-- Ends it at once: from here on no request goes to the site for it. p_status: stopped, completed or failed. True where
-- it ran or was starting.
create or replace function monitoring.stop_v1(p_id uuid, p_status text, p_reason text, p_message text default null) returns bool
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
declare v_namespace text;
begin
  update monitoring_processes set status = p_status, status_reason = p_reason, error_message = p_message, stopped_at = clock_timestamp(), start_requested_at = null,
      next_discovery_at = null, updated_at = clock_timestamp()
    where id = p_id and (status = 'running' or start_requested_at is not null) returning namespace into v_namespace;
  if not found then return false; end if;
  perform monitoring.mark_runnable(p_id);
  perform rowlock.enqueue_v1(v_namespace || '/monitoring', 'stop_monitoring_process', jsonb_build_object('process_id', p_id), 'stop:' || p_id, 20);
  return true;
end $$;

-- The MonitoringProcess is gone: stopped, its records stay.
create or replace function monitoring.forget_v1(p_id uuid) returns bool
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
begin
  perform monitoring.stop_v1(p_id, 'stopped', 'Deleted');
  update monitoring_processes set is_active = false, updated_at = clock_timestamp() where id = p_id and is_active;
  return found;
end $$;

-- Ends what has run for its whole duration; returns their ids. The operator asks every second, the CronJob every
-- minute.
create or replace function monitoring.expire_v1() returns setof uuid
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
declare v_id uuid;
begin
  for v_id in select id from monitoring_processes where status = 'running' and started_at + make_interval(mins => max_duration_minutes) <= clock_timestamp() for update skip locked loop
    perform monitoring.stop_v1(v_id, 'completed', 'DurationReached');
    return next v_id;
  end loop;
end $$;

-- The next discovery now instead of later. False: it does not run.
create or replace function monitoring.run_now_v1(p_id uuid) returns bool
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  with done as (update monitoring_processes set next_discovery_at = clock_timestamp(), discovery_empty_streak = 0 where id = p_id and is_active and status = 'running' returning 1)
  select exists (select from done)
$$;

-- What to show of some processes, in one statement. Counts of rows by status; articles = different ones.
create or replace function monitoring.status_v1(p_ids uuid[])
returns table(id uuid, status text, reason text, message text, requested_at timestamptz, started_at timestamptz, ends_at timestamptz, stopped_at timestamptz, next_discovery_at timestamptz,
  last_activity_at timestamptz, articles bigint, counts jsonb, waiting bigint, approved bigint, active bigint, per_minute float8, last_error text, needs_reauth text[])
language sql stable security definer set search_path = public, pg_catalog, pg_temp as $$
  select m.id, m.status, m.status_reason, m.error_message, m.start_requested_at, m.started_at, m.started_at + make_interval(mins => m.max_duration_minutes), m.stopped_at, m.next_discovery_at,
         m.last_activity_at, coalesce(c.articles, 0), coalesce(c.counts, '{}'), coalesce(c.waiting, 0), coalesce(c.approved, 0), coalesce(c.active, 0) + (m.discovery_state = 'queued')::int,
         coalesce(c.recent, 0) / 5.0, coalesce(m.generation_stopped, m.last_error, m.discovery_error, c.last_error),
         array(select l.name::text from mymoment_logins l join monitoring_process_logins p on p.mymoment_login_id = l.id
                where p.monitoring_process_id = m.id and p.is_active and l.state = 'needs_reauth' order by 1)
    from monitoring_processes m
    left join lateral (
      select (select count(distinct a.mymoment_article_id) from ai_comments a where a.monitoring_process_id = m.id) as articles,
             jsonb_object_agg(s.status, s.n) as counts, sum(s.waiting)::bigint as waiting, sum(s.approved)::bigint as approved,
             sum(s.n) filter (where s.status in ('preparing', 'generating', 'posting'))::bigint as active, sum(s.recent)::bigint as recent, max(s.error) as last_error
        from (select a.status, count(*) as n, count(*) filter (where a.status = 'generated' and a.approval = 'waiting') as waiting,
                     count(*) filter (where a.status = 'generated' and a.approval = 'approved') as approved,
                     count(*) filter (where a.status in ('generated', 'posted') and a.updated_at > clock_timestamp() - interval '5 minutes') as recent,
                     max(a.error_message) filter (where a.status in ('failed', 'unknown')) as error
                from ai_comments a where a.monitoring_process_id = m.id group by a.status) s) c on true
   where m.id = any(p_ids)
$$;

-- A person's word on generated comments: approve, reject, or wait again. Returns what was changed. Approved by hand is
-- posted after the process has ended, too.
create or replace function monitoring.decide_v1(p_ids uuid[], p_approval text, p_by text) returns setof uuid
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  update ai_comments set approval = p_approval, approved_by = case when p_approval = 'approved' then p_by end,
      approved_at = case when p_approval = 'approved' then clock_timestamp() end, updated_at = clock_timestamp()
    where id = any(p_ids) and status = 'generated' and approval <> p_approval returning id
$$;

-- A person wants these on the site, whether their process runs or not. Failed and unknown ones move only once their run
-- is requeued. Returns what was marked.
create or replace function monitoring.post_v1(p_ids uuid[], p_by text) returns setof uuid
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  update ai_comments set approval = 'approved', approved_by = p_by, approved_at = clock_timestamp(), updated_at = clock_timestamp()
    where id = any(p_ids) and status in ('generated', 'failed', 'unknown') and comment_content is not null returning id
$$;

-- Why nothing may be sent for a process, or null; null for none (a comment approved by hand needs no running process).
create or replace function monitoring.refusal(p_process uuid) returns text
language sql stable security definer set search_path = public, pg_catalog, pg_temp as $$
  select case when p_process is null then null
              else coalesce((select case when not m.is_active then 'Deleted' when m.status <> 'running' and m.start_requested_at is null then 'NotRunning'
                                         when m.status = 'running' and m.started_at + make_interval(mins => m.max_duration_minutes) <= clock_timestamp() then 'DurationReached' end
                               from monitoring_processes m where m.id = p_process), case when not exists (select from monitoring_processes m where m.id = p_process) then 'Deleted' end) end
$$;

-- GATE: before every request to a site. Reserves the next free moment of the site and of the login and says how long to
-- wait for it; refused says why nothing may be sent (p_process null: a comment approved by hand, which needs no running
-- process). wait > p_longest: nothing is reserved.
create or replace function monitoring.gate_v1(p_process uuid, p_site text, p_login uuid, p_site_interval float8, p_login_interval float8, p_longest float8 default 120)
returns table(wait_seconds float8, refused text)
language plpgsql security definer set search_path = public, pg_catalog, pg_temp set synchronous_commit = off as $$
declare v_now timestamptz := clock_timestamp(); v_at timestamptz;
begin
  refused := monitoring.refusal(p_process);
  if refused is not null then wait_seconds := 0; return next; return; end if;
  insert into monitoring.pace(key) values ('site:' || p_site) on conflict do nothing;
  insert into monitoring.pace(key) select 'login:' || p_login where p_login is not null on conflict do nothing;
  perform 1 from monitoring.pace where key in ('site:' || p_site, 'login:' || p_login) order by key for update;
  select greatest(v_now, max(next_at), max(hold_until)) into v_at from monitoring.pace where key in ('site:' || p_site, 'login:' || p_login);
  wait_seconds := extract(epoch from v_at - v_now);
  if wait_seconds <= p_longest then
    update monitoring.pace set next_at = v_at + make_interval(secs => case when key like 'site:%' then p_site_interval else p_login_interval end)
     where key in ('site:' || p_site, 'login:' || p_login);
  end if;
  return next;
end $$;

-- After the wait, right before the request: still allowed, and nobody was told to wait (429) meanwhile?
create or replace function monitoring.still_v1(p_process uuid, p_site text, p_login uuid) returns table(wait_seconds float8, refused text)
language sql stable security definer set search_path = public, pg_catalog, pg_temp as $$
  select greatest(0, coalesce((select extract(epoch from max(hold_until) - clock_timestamp()) from monitoring.pace
           where key in ('site:' || p_site, 'login:' || p_login) and hold_until > clock_timestamp()), 0))::float8, monitoring.refusal(p_process)
$$;

-- The site said 429: everybody waits.
create or replace function monitoring.hold_v1(p_site text, p_login uuid, p_seconds float8) returns void
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  insert into monitoring.pace(key, hold_until) values ('site:' || p_site, clock_timestamp() + make_interval(secs => p_seconds))
    on conflict (key) do update set hold_until = greatest(pace.hold_until, excluded.hold_until)
$$;

-- Whether a run that held something has let go of it by ending or by being lost: the ledger knows within seconds. Runs
-- that the ledger does not know count as alive.
create or replace function monitoring.run_is_over(p_run uuid) returns bool
language plpgsql stable security definer set search_path = public, pg_catalog, pg_temp as $$
begin
  return exists (select from rowlock.run r where r.id = p_run and r.state <> 'running');   -- not in language sql: the ledger may be made later than this
end $$;

-- One more use of a login, or false where the allowed number is in use. The use of a pod that died ends with its run,
-- at the latest by its time.
create or replace function monitoring.use_login_v1(p_login uuid, p_run uuid, p_allowed int, p_seconds float8 default 900) returns bool
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
begin
  perform 1 from mymoment_logins where id = p_login for update;
  delete from monitoring.login_use where login_id = p_login and (until < clock_timestamp() or run_id = p_run or monitoring.run_is_over(run_id));
  if (select count(*) from monitoring.login_use where login_id = p_login) >= p_allowed then return false; end if;
  insert into monitoring.login_use(login_id, run_id, until) values (p_login, p_run, clock_timestamp() + make_interval(secs => p_seconds));
  return true;
end $$;
create or replace function monitoring.leave_login_v1(p_login uuid, p_run uuid) returns void
language sql security definer set search_path = public, pg_catalog, pg_temp as $$
  delete from monitoring.login_use where login_id = p_login and run_id = p_run
$$;

-- A task asks for another task (sessions to open or close, cleanups): a run of `p_queue`, null where an active one has
-- that key.
create or replace function monitoring.follow_up_v1(p_queue text, p_task text, p_args jsonb, p_key text) returns uuid
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
begin
  if p_task not in ('initialize_process_sessions', 'terminate_process_sessions', 'cleanup_expired_sessions', 'cleanup_old_session_records', 'cleanup_old_articles',
                    'health_check_sessions', 'stop_monitoring_process') then
    raise exception 'task "%" is none that another task may ask for', p_task using errcode = 'RW002';
  end if;
  return rowlock.enqueue_v1(p_queue, p_task, p_args, p_key);
end $$;

-- A tick of a schedule as a run of `p_queue`; null where this tick was taken before.
create or replace function monitoring.tick_v1(p_schedule text, p_tick text, p_queue text, p_task text, p_args jsonb default '{}') returns uuid
language plpgsql security definer set search_path = public, pg_catalog, pg_temp as $$
declare v_run uuid;
begin
  insert into monitoring.tick(schedule, tick) values (p_schedule, p_tick) on conflict do nothing;
  if not found then return null; end if;
  v_run := rowlock.enqueue_v1(p_queue, p_task, p_args, 'tick:' || p_schedule || ':' || p_tick);
  update monitoring.tick set run_id = v_run where schedule = p_schedule and tick = p_tick;
  delete from monitoring.tick where schedule = p_schedule and created_at < clock_timestamp() - interval '7 days';
  return v_run;
end $$;

revoke all on all functions in schema monitoring from public;
