"""What moves rows and runs of one database: feeder, claimer, sweeper, scribe, readers, housekeeper, watch
(threads), and the launcher of kube jobs (asyncio).

Invariant: every state that is not terminal has a duty that ends it.
Invariant: commit first, then push to Redis or create the kube job; what a crash leaves in between is the
sweeper's.
Invariant: a duty that fails is counted, logged and tried again; it never takes another duty down.
"""
