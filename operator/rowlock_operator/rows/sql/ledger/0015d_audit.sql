-- What an audit of a source's table found: rows that carry our mark, and that the ledger knows no run of.
alter table rowlock.source add column marks text;             -- a sentence with the remedy; null = none
