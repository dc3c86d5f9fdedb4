-- migrations: the versions this ledger has.
select version from rowlock.migration order by version
