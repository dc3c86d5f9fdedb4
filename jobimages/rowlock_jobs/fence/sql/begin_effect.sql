-- begin_effect: from here on a lost runner ends the run as unknown. False = stale or canceled: do not act.
select rowlock.begin_effect_v1(%(id)s::uuid, %(attempt)s, %(token)s::uuid, %(effect)s)
