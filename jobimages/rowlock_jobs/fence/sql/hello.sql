-- hello: a worker process takes a lease.
select rowlock.hello_v1(%(name)s, %(lease_seconds)s)
