-- name: own_process
-- The server process behind this connection.
select pg_backend_pid()

-- name: listen
-- In a session of its own, which waits for days.
set idle_session_timeout = 0; listen rowlock

-- name: ask
-- Held while a NOTIFY is wanted; not had at once (somebody who found it free still has its shared side): asked again at
-- the next pause.
select pg_try_advisory_lock(7700, 3)

-- name: ask_no_more
select pg_advisory_unlock(7700, 3)
