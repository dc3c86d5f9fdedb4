"""What each kind of work does, one package per kind, as steps over values, and the domain tables that the
work needs.

Invariant: nothing here decides whether a run is retried, dead or succeeded; it raises the named errors of
`rowlock_jobs.task`.
Invariant: SQL lives in .sql files, and results are written in `run.transaction()`, so that a stale attempt
writes nothing.
"""
