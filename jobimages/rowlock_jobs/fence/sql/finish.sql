-- finish: the finish fence. No row = the outcome was stale and does not count.
select state from rowlock.finish_v1(%(ids)s::uuid[], %(attempts)s, %(token)s::uuid, %(outcomes)s, %(results)s::jsonb[], %(failures)s::jsonb[])
