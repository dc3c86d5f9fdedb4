-- cancel: how many were ended or told to end.
select rowlock.cancel_v1(%(ids)s::uuid[], %(reason)s)
