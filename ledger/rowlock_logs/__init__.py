"""The form of a log line, the same for the operator and for a worker.

Invariant: imports the standard library alone; writes nothing: it makes text out of an event and its values.
"""
