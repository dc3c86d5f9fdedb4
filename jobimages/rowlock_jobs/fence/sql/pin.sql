-- pin: in front of every call of the ledger, in the same round trip and the same implicit transaction. What a role or a
-- database may have changed (ALTER ROLE ... SET) and a call relies on: each statement sees what was committed before
-- it, and only our own bounds end it. The one way that PgBouncer in transaction mode cannot lose or leak (a startup
-- option it may refuse, a SET it hands to somebody else).
set transaction isolation level read committed, read write;
set local statement_timeout = {statement_timeout_ms};
set local lock_timeout = 0;
set local array_nulls = on;
set local role to default;
