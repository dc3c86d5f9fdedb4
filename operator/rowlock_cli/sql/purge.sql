-- purge: how many ended runs were deleted.
select rowlock.purge_v1(%(queue)s, %(states)s, clock_timestamp() - %(before)s::timestamptz, %(limit)s)
