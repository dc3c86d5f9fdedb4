"""One command that gives a developer, a test run or CI a real Kubernetes cluster, with kind or on the bare
machine.

Invariant: every verb may be repeated; a second run finds its work done.
Invariant: a process is ended only after its start time or its cgroup proves that it is ours.
Invariant: what a cluster changes outside its own folder (links, routes, nftables, cgroups) carries its name
or index and goes with it.
Invariant: the user's own kubeconfig is never read or written.
"""
