-- states: what the ledger says of runs whose start it refused. No row = it does not know the run.
select id::text, attempt, state from rowlock.states_v1(%(ids)s::uuid[])
