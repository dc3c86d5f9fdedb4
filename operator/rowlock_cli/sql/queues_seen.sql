-- queues_seen: for a login that may read only the view: queues that have a run.
select distinct queue from rowlock.run order by queue
