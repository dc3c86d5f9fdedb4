-- ping: whether a connection kept from an earlier run still lives.
select 1
