"""Why a run, a row or a queue is where it is: facts from one snapshot (facts.py), and pure sentences about
them, the strongest reason first, each with what to do about it.

Invariant: the sentences are pure; what the login may not see is left out, never guessed.
"""

from rowlock_client.explain.facts import queue_facts, row_facts, run_facts
from rowlock_client.explain.run import RunFacts, explain_run
from rowlock_client.explain.work_queue import QueueFacts, explain_queue

__all__ = ["QueueFacts", "RunFacts", "explain_queue", "explain_run", "queue_facts", "row_facts", "run_facts"]
