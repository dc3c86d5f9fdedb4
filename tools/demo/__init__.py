"""The main jobs on a real cluster, as a new user sees them: rows of tables by workers and Kubernetes Jobs,
and MonitoringProcesses from apply to posted comments.

Invariant: every figure that is printed as verified was read from the database or from the site's own log, and
compared with what was put in.
Invariant: all of it is removed by `down`.
"""
