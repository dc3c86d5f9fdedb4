-- goodbye: an orderly end; what this runner still holds is retried at once as class infra.
select rowlock.goodbye_v1(%(runner)s)
