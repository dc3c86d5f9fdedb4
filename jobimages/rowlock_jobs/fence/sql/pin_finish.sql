-- pin_finish: in front of the finish in a task's own transaction. However long it waits for a lock: the parent keeps
-- the lease meanwhile, the hard limit is the bound. What gives up here does all its work again.
set local statement_timeout = 0;
set local lock_timeout = 0;
-- A role that a task took on for its rows may call no fence.
set local session authorization default;
set local role to default;
