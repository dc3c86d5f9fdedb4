-- end_effect: the effect is known to have happened; retries are allowed again. False = stale.
select rowlock.end_effect_v1(%(id)s::uuid, %(attempt)s, %(token)s::uuid, %(result)s::jsonb)
