-- cancel_statements: what a process waits for in C code since before its soft limit. A statement that it began after
-- that stays.
select count(pg_cancel_backend(pid)) from pg_stat_activity
 where application_name = %(name)s and usename = session_user and pid <> pg_backend_pid()
   and state = 'active' and query_start < clock_timestamp() - make_interval(secs => %(running_seconds)s)
