"""Runs the attempts that the ledger hands out: warm RQ workers, one-run pods, and the tasks themselves.

Invariant: an attempt runs only after the start fence gave it to this process, and its outcome counts only if
the finish fence takes it.
Invariant: nothing true lives in Redis; losing it loses no run and no outcome.
Invariant: this package and rowlock_operator never import each other; they meet in versioned SQL functions.
"""
