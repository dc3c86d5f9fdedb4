-- Logins, their sessions, and what is encrypted of them.

-- name: logins
-- Those that a process still names.
select l.id::text, l.name, l.username_encrypted, l.password_encrypted, l.state,
       greatest(0, coalesce(extract(epoch from l.next_login_at - clock_timestamp()), 0))::float8 as wait_seconds
  from mymoment_logins l join monitoring_process_logins p on p.mymoment_login_id = l.id
 where p.monitoring_process_id = %(process_id)s and p.is_active and l.is_active order by l.name, l.id

-- name: login
-- One login.
select id::text, name, username_encrypted, password_encrypted, state,
       greatest(0, coalesce(extract(epoch from next_login_at - clock_timestamp()), 0))::float8 as wait_seconds
  from mymoment_logins where id = %(login_id)s

-- name: login_turn
-- Whoever gets the row logs in; a turn that was never ended (a dead pod) ends with its run, or after a minute.
update mymoment_logins set login_started_at = clock_timestamp(), login_run = %(run_id)s
 where id = %(login_id)s and state <> 'needs_reauth'
   and (login_started_at is null or login_started_at < clock_timestamp() - interval '60 seconds'
     or login_run = %(run_id)s or monitoring.run_is_over(login_run)) returning id

-- name: login_turn_end
-- The login did not come to an answer.
update mymoment_logins set login_started_at = null where id = %(login_id)s

-- name: login_failed
-- Backs off 1, 5, then 30 minutes; the third refusal, or a locked account, is a person's matter.
update mymoment_logins set login_started_at = null, failed_logins = failed_logins + 1, last_error = %(message)s,
    state = case when failed_logins + 1 >= 3 or %(locked)s then 'needs_reauth' else 'backing_off' end,
    next_login_at = clock_timestamp() + case failed_logins when 0 then interval '1 minute' when 1
      then interval '5 minutes' else interval '30 minutes' end
 where id = %(login_id)s returning state, extract(epoch from next_login_at - clock_timestamp())::float8

-- name: login_succeeded
-- The new session replaces the old one.
with old as (update mymoment_sessions set is_active = false, updated_at = clock_timestamp()
  where mymoment_login_id = %(login_id)s and is_active)
update mymoment_logins set login_started_at = null, state = 'ok', failed_logins = 0, next_login_at = null,
  last_error = null, last_used = clock_timestamp(), full_logins = full_logins + 1
 where id = %(login_id)s

-- name: session
-- The newest usable cookies of a login.
select id::text, session_data_encrypted from mymoment_sessions
 where mymoment_login_id = %(login_id)s and is_active and expires_at > clock_timestamp() order by created_at desc
   limit 1

-- name: session_open
-- A new session, valid for a day.
insert into mymoment_sessions(mymoment_login_id, session_data_encrypted, expires_at)
  values (%(login_id)s, %(data)s, clock_timestamp() + interval '24 hours') returning id::text

-- name: session_used
-- The cookies as they are after a use.
update mymoment_sessions set last_accessed = clock_timestamp(), updated_at = clock_timestamp(),
  session_data_encrypted = coalesce(%(data)s, session_data_encrypted) where id = %(session_id)s

-- name: session_close
-- A session that the site does not know any more.
update mymoment_sessions set is_active = false, updated_at = clock_timestamp() where id = %(session_id)s

-- name: close_sessions
-- Ends the sessions of a process's logins that no other running process uses.
update mymoment_sessions s set is_active = false, updated_at = clock_timestamp()
  from monitoring_process_logins p where p.monitoring_process_id = %(process_id)s
    and p.mymoment_login_id = s.mymoment_login_id and s.is_active
   and not exists (select from monitoring_process_logins o join monitoring_processes m on m.id = o.monitoring_process_id
                    where o.mymoment_login_id = s.mymoment_login_id
                      and o.monitoring_process_id <> p.monitoring_process_id and o.is_active and m.status = 'running')
  returning 1

-- name: expire_sessions
-- Ends the sessions whose day is over.
update mymoment_sessions set is_active = false, updated_at = clock_timestamp() where is_active
  and expires_at <= clock_timestamp() returning 1

-- name: old_sessions
-- Deletes the sessions that were closed thirty days ago.
delete from mymoment_sessions where not is_active and updated_at < clock_timestamp() - interval '30 days' returning 1

-- name: sessions_to_check
-- Sessions unused for an hour, of logins that a running process uses.
select distinct on (s.id) m.id::text, s.mymoment_login_id::text
  from mymoment_sessions s join monitoring_process_logins p on p.mymoment_login_id = s.mymoment_login_id and p.is_active
    join monitoring_processes m on m.id = p.monitoring_process_id
 where s.is_active and s.expires_at > clock_timestamp() and s.last_accessed < clock_timestamp() - interval '1 hour'
   and m.status = 'running' and m.is_active order by s.id, m.id limit 20

-- name: encrypted
-- Every token there is.
select 'login_name', id::text, username_encrypted from mymoment_logins
 union all select 'login_password', id::text, password_encrypted from mymoment_logins
 union all select 'session', id::text, session_data_encrypted from mymoment_sessions where is_active
 union all select 'model', id::text, api_key_encrypted from llm_provider_configurations
   where api_key_encrypted is not null

-- name: reencrypt_login_name
update mymoment_logins set username_encrypted = %(new)s where id = %(id)s and username_encrypted = %(old)s

-- name: reencrypt_login_password
update mymoment_logins set password_encrypted = %(new)s where id = %(id)s and password_encrypted = %(old)s

-- name: reencrypt_session
update mymoment_sessions set session_data_encrypted = %(new)s where id = %(id)s and session_data_encrypted = %(old)s

-- name: reencrypt_model
update llm_provider_configurations set api_key_encrypted = %(new)s where id = %(id)s and api_key_encrypted = %(old)s
