-- note: this migration is done, in its own transaction.
insert into rowlock_domain.migration(name) values (%(name)s)
