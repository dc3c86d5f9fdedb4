-- queues: all that the ledger knows.
select name from rowlock.queue order by name
