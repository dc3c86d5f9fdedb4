-- renew: keeps the lease, stores the progress of what we run, asks what was canceled.
select alive, cancel::text[] from rowlock.renew_v1(%(runner)s, %(lease_seconds)s, %(ids)s::uuid[], %(progress)s::jsonb[])
