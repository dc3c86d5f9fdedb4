-- A task may enqueue the next one. In its run's transaction the new run exists exactly if the outcome does.
grant execute on function rowlock.enqueue_v1 to rowlock_worker;
