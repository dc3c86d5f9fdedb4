"""Takes an id from the queue, runs it in a warm child process, and never decides an outcome.

Three processes: the supervisor (only where a pod has several workers), the worker parent, its child. The
parent alone speaks to Redis and to the ledger, and it has no threads, so that it may fork; task code runs in
the child alone.

    Redis list --turn.lua--> parent --cycle_v1--> parent --socketpair--> child: tasks --> parent --(turn.lua,
    cycle_v1)--> ...

Runs that proved short are taken in batches (batch_size.py): one turn, one commit and one message for up to
sixteen. The child needs a permit for each run it begins (start_permits.py). Where one turns out slow, or the
child dies, the parent takes the permits back that are left: those runs were not begun and never will be, so
hand_back_v1 queues them again, with the same attempt and at no cost.

Who is authoritative: the ledger. What Redis believes is for `rq info`; a turn with Redis that fails is
repeated later or never. The parent dies: the kernel kills the child, the lease lapses, the sweep retries the
run as class infra. The child dies: the parent sees it at once and says so in the outcome. A reply of the
ledger is lost: the finish is asked again (the fence answers the same question the same way); a start that may
have happened is given up together with its runner, because a run that is running under our lease but in
nobody's hands would never end.

Invariant: a worker holds one run, or a handful of short ones, and takes none while an outcome is not
recorded.
Invariant: task code never runs in the parent, and a parent never forks while it has threads.
Invariant: an id is at every moment in a Redis list, in a worker's hands, or known to the ledger as waiting
for the sweep.
Invariant: arguments and results appear in no log line and in no Redis key.
"""
