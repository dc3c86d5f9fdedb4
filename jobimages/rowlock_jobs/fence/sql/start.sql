-- start: the start fence. No row = the attempt is not ours to run.
select id::text, attempt, task, args::text, queue, source_key, tries from rowlock.start_v1(%(ids)s::uuid[], %(attempts)s::int[], %(runner)s, %(token)s::uuid)
