-- hand_back: runs that were started together with others and never begun are queued again, same attempt. An id that
-- does not come back was given up or canceled.
select rowlock.hand_back_v1(%(ids)s::uuid[], %(attempts)s, %(token)s::uuid)::text
