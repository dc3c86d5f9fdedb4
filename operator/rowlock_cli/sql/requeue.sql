-- requeue: returns the ids that went back to pending.
select rowlock.requeue_v1(%(ids)s::uuid[])::text
