-- cancel_waiting: how many runs that had not started were ended.
select rowlock.cancel_waiting_v1(%(queue)s, %(states)s, %(before)s::timestamptz, %(limit)s, %(reason)s)
