-- pin_task: what a task's sessions rely on, whatever a role or a database has set (ALTER ROLE ... SET): values look the
-- same everywhere, and a task may think between two statements, its bound is its hard limit. {scope} is `session` once
-- a connection, or `local` in each transaction where a pooler lends the session to others. The name is the process's
-- own, behind a pooler only while the transaction is. A server that works for a client which is gone notices it within
-- seconds. The isolation is in each BEGIN; timeouts of the task's own statements are the role's.
set {scope} application_name = '{session_name}';
set {scope} client_connection_check_interval = 1000;
set {scope} tcp_keepalives_idle = 5;
set {scope} tcp_keepalives_interval = 2;
set {scope} tcp_keepalives_count = 3;
set {scope} idle_in_transaction_session_timeout = 0;
set {scope} idle_session_timeout = 0;
set {scope} timezone = 'UTC';
set {scope} datestyle = 'ISO, MDY';
set {scope} intervalstyle = 'postgres';
set {scope} bytea_output = 'hex';
set {scope} extra_float_digits = 1;
set {scope} array_nulls = on;
