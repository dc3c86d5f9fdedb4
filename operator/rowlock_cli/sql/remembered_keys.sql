-- remembered_keys: what a source remembers as taken; null = of all keys.
select source_table, has_status_column, remembered from rowlock.remembered_keys_v1(%(source)s, %(keys)s)
