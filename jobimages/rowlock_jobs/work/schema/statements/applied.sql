-- applied: the names of the migrations this database has had.
select name from rowlock_domain.migration
