"""The command `rowlock` (also `kubectl rowlock`): what runs, why a run waits, and the few things a person
does about it. A shell over rowlock_client.

Invariant: no password leaves the cluster: without a database address the same command runs inside the
operator's pod; no key or password is ever shown.
Invariant: rows change only through rowlock_client, Kubernetes objects only with the user's own rights.
Invariant: nothing is deleted, canceled or posted in bulk without a yes, and never inside the pod where nobody
can be asked.
Invariant: help and completion import no command, and no command imports another one's libraries.
"""
