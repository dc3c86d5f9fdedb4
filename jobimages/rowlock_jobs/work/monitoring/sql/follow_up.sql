-- follow_up: another task of the same namespace.
select monitoring.follow_up_v1(%(queue)s, %(task)s, %(args)s, %(key)s)::text
