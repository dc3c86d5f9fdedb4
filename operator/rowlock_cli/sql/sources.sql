-- sources: the name of every RowSource that the ledger knows, also of those that are gone.
select distinct name from rowlock.source order by 1
