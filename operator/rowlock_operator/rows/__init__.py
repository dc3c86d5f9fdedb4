"""The only room that speaks to PostgreSQL: the ledger's functions, and the users' tables as sources.

Invariant: every statement lives in a `.sql` file with its purpose; identifiers are quoted, values are
parameters.
Invariant: nothing needs session state: everything works through PgBouncer in transaction mode, where only the
hint falls silent.
Invariant: a count or list that fails is an error, never zero.
"""
