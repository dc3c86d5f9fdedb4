-- now: ages are told by the database's clock, as the due times are.
select clock_timestamp()
