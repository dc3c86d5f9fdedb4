-- forget_keys: how many keys were forgotten.
select rowlock.forget_keys_v1(%(source)s, %(keys)s, %(before)s, %(limit)s)
