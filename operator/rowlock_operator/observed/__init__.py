"""Frozen snapshots of what exists: children, runs per state, problems, and the clock reading they were taken
at.

Invariant: values only; reading an object here never fails for a field that is missing.
Invariant: what is not known is None, never zero.
"""
