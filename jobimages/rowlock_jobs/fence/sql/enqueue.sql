-- enqueue: the next run, in the transaction of this one.
select rowlock.enqueue_v1(%(queue)s::text, %(task)s::text, %(args)s::jsonb, %(key)s::text, %(priority)s::int, %(fairness_key)s::text,
                          %(limits)s::text[], %(due)s::timestamptz)::text
