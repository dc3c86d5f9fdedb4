-- queues_gone: those without a WorkQueue; `expected` ones never had one.
select name, expected from rowlock.queue where deleted
