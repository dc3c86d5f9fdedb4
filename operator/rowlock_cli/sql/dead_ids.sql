-- dead_ids: the oldest dead runs of a queue after a given one, a batch at a time (a run that cannot be requeued must
-- not stop the rest).
select id::text from rowlock.run r where queue = %(queue)s and state = 'dead' and id > %(after)s::uuid order by r.id limit %(limit)s
