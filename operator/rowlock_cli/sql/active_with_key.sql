-- active_with_key: the run that has this key now.
select id::text from rowlock.run where queue = %(queue)s and source is null and source_key = %(key)s and finished_at is null
