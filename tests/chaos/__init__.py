"""The chaos harness: rows flow while everything is killed, frozen and cut off by a seeded plan, and what must
hold is checked from outside.

Run it with `python -m tests.chaos`; docs/measurements.md holds its last long result.

Invariant: a plan is a function of its seed alone, so a violation can be looked for again.
Invariant: the verdict rests on the tasks' own log and the users' tables; the ledger is asked only for what it
claims to know.
Invariant: whatever the harness started, it ends, by process id.
"""
