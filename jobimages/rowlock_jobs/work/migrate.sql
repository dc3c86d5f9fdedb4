-- What the migration of the domain tables says before the installer begins.

-- name: settings
-- The tables go to `public`: a login named like a schema would otherwise put them there.
set local search_path = public;
set local lock_timeout = '60s';
set local statement_timeout = 0;
set local idle_in_transaction_session_timeout = 0
