"""Commands about what sources remember.

Invariant: a source with a status column is never touched here.
"""
