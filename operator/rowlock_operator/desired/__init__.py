"""Turns one spec into the Kubernetes objects we want, one file per kind of child.

Invariant: same input, same bytes; no clock, no random, no I/O.
Invariant: no secret value appears in what is built here, except inside a Secret.
Invariant: every pod is restricted by default; only the user's own words relax it.
"""
