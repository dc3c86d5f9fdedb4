"""The only room that speaks to PostgreSQL: hands out runs, renews the lease, takes outcomes, and lends tasks
a connection.

Invariant: every statement is one call of a versioned function and lives in a .sql file.
Invariant: the fences keep no session state, so PgBouncer in transaction mode may sit between; a task meets no
other run's.
Invariant: only the finish commits what a task writes in run.transaction(), and nothing of a run reaches the
next one's.
Invariant: psycopg2's errors never leave this room untranslated, except into a task's own hands.
Invariant: an answer that was lost counts as unknown, never as no.
"""
