-- timeout: a person waits; `local`, because a pooled connection is somebody else's afterwards. The rest: values look
-- the same whatever the role has set.
set local statement_timeout = '60s';
set local lock_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
set local timezone = 'UTC';
set local datestyle = 'ISO, MDY';
set local intervalstyle = 'postgres';
set local bytea_output = 'hex';
set local extra_float_digits = 1;
set local array_nulls = on;
set local quote_all_identifiers = off
