-- Processes: what they are, their course, their upkeep.

-- name: process
-- One process as the tasks need it.
select id::text, coalesce(namespace, '') as namespace, name, status, is_active,
  start_requested_at is not null as requested, site_driver, coalesce(base_url, '') as base_url, generate_only,
       hide_comments, tab_filter, category_filter, task_filter, search_filter, sort_option, article_limit,
         discovery_empty_streak, settings, generation_stopped
  from monitoring_processes where id = %(process_id)s

-- name: model
-- The model of a process.
select l.provider_name as provider, l.model_name as model, l.base_url, l.api_key_encrypted, l.max_tokens, l.temperature,
  l.settings
  from llm_provider_configurations l join monitoring_processes m on m.llm_provider_id = l.id where m.id = %(process_id)s

-- name: prompt_count
-- Prompts a process still names.
select count(*) from monitoring_process_prompts where monitoring_process_id = %(process_id)s and is_active

-- name: run_process
-- From asked-for to running.
select monitoring.run_v1(%(process_id)s)

-- name: stop_process
-- Ends it at once.
select monitoring.stop_v1(%(process_id)s, %(status)s, %(reason)s, %(message)s)

-- name: running
-- Ids of the processes that run.
select id::text from monitoring_processes where is_active and status = 'running'

-- name: active
-- Something was done for the process.
update monitoring_processes set last_activity_at = clock_timestamp() where id = %(process_id)s
  and last_activity_at < clock_timestamp() - interval '5 seconds'

-- name: expire
-- Ends what has run for its whole duration.
select monitoring.expire_v1()::text

-- name: health
-- Processes by status, running ones without a sign of life for an hour, sessions in use.
select (select coalesce(jsonb_object_agg(status, n), '{}')
  from (select status, count(*) as n from monitoring_processes where is_active group by 1) x),
       (select coalesce(jsonb_agg(name order by name), '[]') from monitoring_processes where is_active
         and status = 'running' and last_activity_at < clock_timestamp() - interval '1 hour'),
       (select count(*) from mymoment_sessions where is_active and expires_at > clock_timestamp()),
       (select coalesce(jsonb_agg(name order by name), '[]') from mymoment_logins where is_active
         and state = 'needs_reauth')

-- name: follow_up
-- Another task of the same namespace.
select monitoring.follow_up_v1(%(queue)s, %(task)s, %(args)s, %(key)s)::text
