"""The only room that speaks to the Kubernetes API: apply, list, watch, lease.

Invariant: returns our values and our errors, never a library's.
Invariant: a list that fails is an error, never an empty list.
Invariant: a token is read from its file and never kept in a log line, a message or an argument.
"""
