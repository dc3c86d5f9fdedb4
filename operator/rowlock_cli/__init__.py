"""The command `rowlock` (also `kubectl rowlock`): what runs, why a run waits, and the few things a person does about it.

Invariant: no secret leaves the cluster: without a database address the same command runs inside the operator's pod.
Invariant: state changes only through the ledger's versioned functions; a login that may read only the view `rowlock.run` is served too.
Invariant: nothing is deleted or canceled in bulk without a yes, and never inside the pod where nobody can be asked.
"""
