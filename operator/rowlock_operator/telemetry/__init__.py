"""Event names, metrics and probes.

Invariant: no label carries an account or row id.
Invariant: nothing here decides anything; a probe is a function handed in.
"""
