-- end_sessions: what a dead process left at work in PostgreSQL would go on and keep its locks. The name is that
-- process's own.
select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = %(name)s and usename = session_user and pid <> pg_backend_pid()
