"""The command `rowlock` (also `kubectl rowlock`): what runs, why a run waits, and the few things a person
does about it.

Invariant: no password leaves the cluster: without a database address the same command runs inside the
operator's pod; no key or password is ever shown.
Invariant: rows change only through versioned functions, Kubernetes objects only with the user's own rights;
who may read only `rowlock.run` is served too.
Invariant: nothing is deleted, canceled or posted in bulk without a yes, and never inside the pod where nobody
can be asked.
"""
