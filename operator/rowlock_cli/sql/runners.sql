-- runners: who holds a lease, and who let it lapse and was not swept.
select count(*) filter (where not dead and lease_until > clock_timestamp()) as alive,
       coalesce(max(extract(epoch from clock_timestamp()) - extract(epoch from lease_until)) filter (where not dead and lease_until <= clock_timestamp()), 0)::float8 as lapsed_seconds
  from rowlock.runner where id > 0
