"""The only room that speaks to Redis, in RQ's own format.

Invariant: may lose everything at any moment; nothing true lives here.
Invariant: no user data, no task name, no credential is ever written: a run's id and attempt are all.
"""
