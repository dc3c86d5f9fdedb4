-- Domain tables for the monitoring of articles. Tables of the system these came from are kept as they are and get the
-- columns they lack; every id is a uuid there, so nothing here refers to the `users` of the documents, whose ids are
-- numbers.

do $$
begin
  if to_regnamespace('monitoring') is null then
    create schema monitoring;   -- functions, and what only Rowlock knows (pace, ticks, uses of logins)
  end if;
end $$;

create table if not exists llm_provider_configurations(
  id uuid primary key default gen_random_uuid(),
  user_id uuid,
  provider_name varchar(50) not null,
  api_key_encrypted text,
  model_name varchar(100) not null,
  max_tokens int,
  temperature float8,
  is_active bool not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_used timestamptz
);
alter table llm_provider_configurations
  add column if not exists base_url text,
  add column if not exists settings jsonb not null default '{}',   -- timeout, budget: what the old system did not know
  alter column api_key_encrypted drop not null;                    -- a model inside the cluster may need none

create table if not exists prompt_templates(
  id uuid primary key default gen_random_uuid(),
  name varchar(200) not null,
  description text,
  system_prompt text not null default '',
  user_prompt_template text not null,
  category varchar(20) not null default 'USER',
  user_id uuid,
  is_active bool not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table if not exists mymoment_logins(
  id uuid primary key default gen_random_uuid(),
  user_id uuid,
  username_encrypted text not null,
  password_encrypted text not null,
  name varchar(100) not null,
  is_active bool not null default true,
  created_at timestamptz not null default now(),
  last_used timestamptz,
  updated_at timestamptz not null default now()
);
alter table mymoment_logins
  add column if not exists base_url text,                          -- the site this login is of
  -- of the Secret it was copied from: another one is a new chance to log in
  add column if not exists credentials_hash text,
  add column if not exists state text not null default 'ok',
  add column if not exists failed_logins int not null default 0,
  add column if not exists next_login_at timestamptz,              -- not before: after a failed login
  add column if not exists login_started_at timestamptz,           -- somebody logs in at the moment: one at a time
  add column if not exists login_run uuid,                         -- and this is the run that does
  add column if not exists full_logins bigint not null default 0,
  add column if not exists last_error text;
do $$
begin
  if not exists (select from pg_constraint where conname = 'mymoment_logins_state') then
    alter table mymoment_logins add constraint mymoment_logins_state check (state in ('ok', 'backing_off',
      'needs_reauth'));
  end if;
end $$;

create table if not exists mymoment_sessions(
  id uuid primary key default gen_random_uuid(),
  mymoment_login_id uuid not null references mymoment_logins(id) on delete cascade,
  session_data_encrypted text not null,
  expires_at timestamptz not null,
  is_active bool not null default true,
  created_at timestamptz not null default now(),
  last_accessed timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
-- The old system kept one active session a login by habit; where it has several, the newest stays.
update mymoment_sessions s set is_active = false
 where s.is_active and exists (select from mymoment_sessions n where n.mymoment_login_id = s.mymoment_login_id
   and n.is_active and (n.created_at, n.id) > (s.created_at, s.id));
create unique index if not exists mymoment_sessions_one_active on mymoment_sessions(mymoment_login_id) where is_active;

create table if not exists monitoring_processes(
  id uuid primary key default gen_random_uuid(),
  user_id uuid,
  llm_provider_id uuid references llm_provider_configurations(id),
  name varchar(200) not null,
  description text,
  generate_only bool not null default true,
  hide_comments bool not null default false,
  category_filter int,
  task_filter int,
  search_filter varchar(200),
  tab_filter varchar(50),
  sort_option varchar(50),
  max_duration_minutes int not null default 60,
  status varchar(50) not null default 'created',
  started_at timestamptz,
  stopped_at timestamptz,
  last_activity_at timestamptz,
  next_discovery_at timestamptz,
  discovery_empty_streak int not null default 0,
  is_active bool not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
alter table monitoring_processes
  add column if not exists hide_comments bool not null default false,
  add column if not exists task_filter int,
  add column if not exists llm_provider_id uuid references llm_provider_configurations(id),
  add column if not exists next_discovery_at timestamptz,
  add column if not exists discovery_empty_streak int not null default 0,
  add column if not exists namespace text,
  add column if not exists owner text not null default '',
  add column if not exists site_driver text not null default 'mymoment',
  add column if not exists base_url text,
  add column if not exists article_limit int not null default 20,
  -- discovery intervals, pace, prefix, lengths: see docs/monitoring.md
  add column if not exists settings jsonb not null default '{}',
  add column if not exists status_reason text not null default '',
  add column if not exists error_message text,
  add column if not exists start_requested_at timestamptz,         -- asked for, not yet running
  add column if not exists discovery_state text not null default 'idle',
  add column if not exists discovery_error text,
  add column if not exists last_error text,
  add column if not exists last_error_at timestamptz,
  -- why the model is asked no more (key, model, quota, budget), until the process is applied or started anew
  add column if not exists generation_stopped text;
do $$
declare c record;
begin
  -- The checks of the old system by their new words: the status, and what a discovery may be.
  for c in select conrelid::regclass as t, conname from pg_constraint
            where contype = 'c' and conrelid in ('public.monitoring_processes'::regclass)
              and pg_get_constraintdef(oid) like '%status%' loop
    execute format('alter table %s drop constraint %I', c.t, c.conname);
  end loop;
end $$;
alter table monitoring_processes
  add constraint monitoring_processes_status check (status in ('created', 'running', 'stopped', 'completed', 'failed')),
  add constraint monitoring_processes_duration check (max_duration_minutes between 1 and 1440) not valid,
  add constraint monitoring_processes_discovery check (discovery_state in ('idle', 'queued', 'failed')),
  add constraint monitoring_processes_started check (status <> 'running' or started_at is not null) not valid;
create index if not exists monitoring_processes_due on monitoring_processes(next_discovery_at) where status = 'running'
  and is_active and discovery_state <> 'queued';
create index if not exists monitoring_processes_owner on monitoring_processes(owner) where status = 'running'
  or start_requested_at is not null;

create table if not exists monitoring_process_logins(
  id uuid primary key default gen_random_uuid(),
  monitoring_process_id uuid not null references monitoring_processes(id) on delete cascade,
  mymoment_login_id uuid not null references mymoment_logins(id) on delete cascade,
  is_active bool not null default true,
  created_at timestamptz not null default now(),
  unique (monitoring_process_id, mymoment_login_id)
);
create table if not exists monitoring_process_prompts(
  id uuid primary key default gen_random_uuid(),
  monitoring_process_id uuid not null references monitoring_processes(id) on delete cascade,
  prompt_template_id uuid not null references prompt_templates(id) on delete cascade,
  -- kept for its old owner; nothing reads it (every prompt comments on every article)
  weight float8 not null default 1 check (weight > 0),
  is_active bool not null default true,
  created_at timestamptz not null default now(),
  unique (monitoring_process_id, prompt_template_id)
);

-- Article snapshot and comment in one row, as its users know it.
create table if not exists ai_comments(
  id uuid primary key default gen_random_uuid(),
  mymoment_article_id varchar(100) not null,
  mymoment_comment_id varchar(100) unique,
  user_id uuid,
  mymoment_login_id uuid references mymoment_logins(id) on delete set null,
  monitoring_process_id uuid references monitoring_processes(id) on delete set null,
  prompt_template_id uuid references prompt_templates(id) on delete set null,
  llm_provider_id uuid references llm_provider_configurations(id) on delete set null,
  article_title text not null default '',
  article_author varchar(200) not null default '',
  article_category int,
  article_task_id int,
  article_url varchar(500),
  article_content text,
  article_raw_html text,
  article_published_at timestamptz,
  article_edited_at timestamptz,
  article_scraped_at timestamptz,
  article_metadata jsonb,
  comment_content text,
  reasoning_content text,
  is_hidden bool not null default false,
  status varchar(20) not null default 'discovered',
  ai_model_name varchar(100),
  ai_provider_name varchar(50),
  generation_tokens int,
  generation_time_ms int,
  created_at timestamptz not null default now(),
  posted_at timestamptz,
  failed_at timestamptz,
  error_message text,
  retry_count int not null default 0,
  is_active bool not null default true
);
alter table ai_comments
  add column if not exists article_task_id int,
  add column if not exists reasoning_content text,
  add column if not exists is_hidden bool not null default false,
  add column if not exists approval text not null default 'waiting',
  -- 'process' where generateOnly is false, else who said so
  add column if not exists approved_by text,
  add column if not exists approved_at timestamptz,
  add column if not exists runnable bool not null default false,   -- its process runs: the sources take it
  -- of the rows of one article the one that fetches it for all
  add column if not exists prepares bool not null default true,
  add column if not exists site text,                              -- host of the site: what its pace is counted by
  add column if not exists posting_started_at timestamptz,
  -- the model is being asked (a row in `generating` may still wait for a worker)
  add column if not exists generating_since timestamptz,
  add column if not exists updated_at timestamptz not null default now();
do $$
declare c record;
begin
  for c in select conname from pg_constraint where contype = 'c' and conrelid = 'public.ai_comments'::regclass loop
    -- replaced below by their new words
    execute format('alter table public.ai_comments drop constraint %I', c.conname);
  end loop;
end $$;
alter table ai_comments
  add constraint ai_comments_status check (status in
    ('discovered', 'preparing', 'prepared', 'generating', 'generated', 'posting', 'posted', 'unknown', 'failed',
      'deleted')),
  add constraint ai_comments_approval check (approval in ('waiting', 'approved', 'rejected')),
  add constraint ai_comments_prepared check (status not in ('prepared', 'generating', 'generated', 'posting', 'posted',
    'unknown') or article_content is not null) not valid,
  add constraint ai_comments_generated check (status not in ('generated', 'posting', 'posted', 'unknown')
    or comment_content is not null) not valid,
  add constraint ai_comments_approved check (approval <> 'approved' or approved_by is not null) not valid,
  add constraint ai_comments_posted check (status <> 'posted'
    or (posted_at is not null and mymoment_comment_id is not null and mymoment_login_id is not null)) not valid,
  add constraint ai_comments_failed check (status <> 'failed' or error_message is not null) not valid;
create unique index if not exists ai_comments_once on ai_comments(mymoment_article_id, monitoring_process_id,
  mymoment_login_id, prompt_template_id);
-- Two sites may well call a comment by the same number.
alter table ai_comments drop constraint if exists ai_comments_mymoment_comment_id_key;
create unique index if not exists ai_comments_at_site on ai_comments(site, mymoment_comment_id);
create index if not exists ai_comments_process on ai_comments(monitoring_process_id, status);
create index if not exists ai_comments_to_prepare on ai_comments(created_at, id) where status = 'discovered'
  and runnable and prepares;
create index if not exists ai_comments_to_generate on ai_comments(created_at, id) where status = 'prepared'
  and runnable;
create index if not exists ai_comments_to_post on ai_comments(approved_at, id) where status = 'generated'
  and approval = 'approved';

-- The pace of a site and of a login, shared by all pods: the next free moment, and until when everybody waits (429).
create table if not exists monitoring.pace(
  key text primary key,
  next_at timestamptz not null default '-infinity',
  hold_until timestamptz not null default '-infinity'
);
-- Who uses a login at the moment; a use ends by itself where its pod died.
create table if not exists monitoring.login_use(
  login_id uuid not null references mymoment_logins(id) on delete cascade,
  run_id uuid not null,
  until timestamptz not null,
  primary key (login_id, run_id)
);
-- A tick of a schedule is one run, however often its pod comes.
create table if not exists monitoring.tick(
  schedule text not null,
  tick text not null,
  run_id uuid,
  created_at timestamptz not null default now(),
  primary key (schedule, tick)
);
