-- snapshot: several statements about one run must not see it before and after its start.
set transaction isolation level repeatable read, read only
