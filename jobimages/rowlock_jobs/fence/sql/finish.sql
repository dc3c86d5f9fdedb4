-- finish: the finish fence. No row = the outcome was stale and does not count.
select id::text, state from rowlock.finish_v1(%(ids)s::uuid[], %(attempts)s::int[], %(token)s::uuid, %(outcomes)s::text[], %(results)s::jsonb[], %(failures)s::jsonb[])
