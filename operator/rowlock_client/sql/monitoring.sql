-- name: monitoring_installed
-- whether the domain's migration of this version has run in this database.
select to_regprocedure('monitoring.post_v1(uuid[],text)') is not null

-- name: processes_named
-- the newest process of that name in each namespace; a name that was deleted and made again is the one
-- that lives.
select distinct on (namespace) id::text, namespace, name from public.monitoring_processes
 where name = %(name)s and namespace is not null and (%(namespace)s::text is null or namespace = %(namespace)s)
 order by namespace, is_active desc, created_at desc, id

-- name: processes_known
-- for a sentence that says what there is instead.
select namespace || '/' || name from public.monitoring_processes where namespace is not null and is_active
  order by namespace, name limit %(limit)s

-- name: process_status
-- one process as it is now.
select m.id::text, m.namespace, m.name, m.is_active, m.base_url as site, m.generate_only, s.status as phase, s.reason,
  s.message, s.requested_at, s.started_at, s.ends_at,
       s.stopped_at, m.discovery_state, s.next_discovery_at, s.last_activity_at, s.articles, s.counts, s.waiting,
         s.approved, s.active, s.per_minute, s.last_error
  from monitoring.status_v1(array[%(id)s::uuid]) s join public.monitoring_processes m using (id)

-- name: run_now
-- false where the process does not run.
select monitoring.run_now_v1(%(id)s::uuid)

-- name: logins
-- never a name or word of a Secret; `name` is what the MonitoringProcess calls it.
select l.id::text, l.name, l.base_url as site, l.state, l.failed_logins, l.next_login_at, l.last_error, l.full_logins,
  s.created_at as session_since, s.expires_at as session_expires,
       (select count(*) from monitoring.login_use u where u.login_id = l.id and u.until > clock_timestamp()) as uses,
       array(select m.namespace || '/' || m.name from public.monitoring_process_logins p
         join public.monitoring_processes m on m.id = p.monitoring_process_id
              where p.mymoment_login_id = l.id and p.is_active and m.is_active and m.namespace is not null
                order by 1) as processes
  from public.mymoment_logins l
  left join lateral (select x.created_at, x.expires_at from public.mymoment_sessions x
                      where x.mymoment_login_id = l.id and x.is_active and x.expires_at > clock_timestamp()
                        order by x.created_at desc limit 1) s on true
 where l.is_active and (%(process)s::uuid is null or exists (select from public.monitoring_process_logins p
         where p.monitoring_process_id = %(process)s::uuid and p.mymoment_login_id = l.id and p.is_active))
 order by l.base_url, l.name, l.id

-- name: comments
-- newest first. A null filter lets everything through; deleted ones are shown to who asks for them.
select c.id::text, m.namespace || '/' || m.name as process, c.article_title, l.name as login, t.name as prompt,
  c.status, c.approval, c.approved_by, c.error_message,
       c.created_at, c.posted_at
  from public.ai_comments c
  left join public.monitoring_processes m on m.id = c.monitoring_process_id
  left join public.mymoment_logins l on l.id = c.mymoment_login_id
  left join public.prompt_templates t on t.id = c.prompt_template_id
 where (%(process)s::uuid is null or c.monitoring_process_id = %(process)s::uuid)
   and case when %(statuses)s::text[] is null then c.status <> 'deleted' else c.status = any(%(statuses)s) end
   and (%(approvals)s::text[] is null or (c.status = 'generated' and c.approval = any(%(approvals)s)))
 order by c.created_at desc, c.id limit %(limit)s

-- name: comments_begin
-- those whose id begins so, with their texts.
select c.id::text, m.namespace, m.namespace || '/' || m.name as process, m.status as phase,
  c.mymoment_article_id as article_id, c.article_title, c.article_author, c.article_url,
       c.article_content, l.name as login, t.name as prompt, c.status, c.approval, c.approved_by, c.approved_at,
         c.comment_content, c.reasoning_content,
       c.ai_provider_name as provider, c.ai_model_name as model, c.generation_tokens as tokens, c.generation_time_ms,
         c.error_message, c.created_at, c.updated_at,
       c.posting_started_at, c.posted_at, c.mymoment_comment_id as comment_id_at_site
  from public.ai_comments c
  left join public.monitoring_processes m on m.id = c.monitoring_process_id
  left join public.mymoment_logins l on l.id = c.mymoment_login_id
  left join public.prompt_templates t on t.id = c.prompt_template_id
 where c.id between %(low)s::uuid and %(high)s::uuid order by c.id limit 6

-- name: comments_waiting
-- what a person may decide of a process; not what was written after the question.
select id::text from public.ai_comments
 where monitoring_process_id = %(process)s::uuid and status = 'generated' and approval = 'waiting'
   and updated_at <= %(until)s::timestamptz order by created_at, id

-- name: comments_decide
-- ids of those that were changed.
select monitoring.decide_v1(%(ids)s::uuid[], %(approval)s, %(by)s)::text

-- name: comments_post
-- ids of those that may be posted now, whatever their process does.
select monitoring.post_v1(%(ids)s::uuid[], %(by)s)::text

-- name: posting_runs
-- the newest run of each comment that ended badly, or that has not ended. Two halves, because only the
-- first has an index among ended runs.
select distinct on (comment_id) comment_id, run_id, state from (
  select r.source_key as comment_id, r.id::text as run_id, r.state, r.id from rowlock.run r
   where r.queue = %(queue)s and r.source = %(source)s and r.state in ('dead', 'unknown')
     and r.source_key = any(%(ids)s)
  union all
  select r.source_key, r.id::text, r.state, r.id from rowlock.run r
   where r.queue = %(queue)s and r.source = %(source)s and r.finished_at is null and r.source_key = any(%(ids)s)) x
 order by comment_id, (state in ('dead', 'unknown')), id desc
