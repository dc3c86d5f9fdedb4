"""Folds what was observed into conditions, counters and the words of printer columns.

Invariant: pure; every reason comes from `api/reasons.py`.
Invariant: a status that says the same is the same value, so that nothing is written: lastTransitionTime moves
with the status alone.
Invariant: what is not known keeps its last value; it never becomes zero.
"""
