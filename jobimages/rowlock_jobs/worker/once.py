"""Runs exactly one attempt with all fences and ends: the pod of a kube job of contract Sdk. Needs no Redis."""

import logging
import time

from rowlock_jobs import logs
from rowlock_jobs.errors import GraceOver
from rowlock_jobs.fence.values import FinishedRun, RunRef
from rowlock_jobs.outcome import Outcome
from rowlock_jobs.worker.allowed import Allowed
from rowlock_jobs.worker.attempts import Attempts, Ended
from rowlock_jobs.worker.lease import Lease
from rowlock_jobs.worker.perform import Settled
from rowlock_jobs.worker.stopping import Stopping


def run_once(ref: RunRef, *, lease: Lease, attempts: Attempts, stopping: Stopping, allowed: Allowed) -> bool:
    """True once the ledger knows what became of the attempt, whatever that is; False where it never answered."""
    stopping.holding = True
    try:
        lease.take()
        started = lease.cycle(None, ref).started
        if started is None:
            logs.emit(logs.RUN_REFUSED, run=ref.id, attempt=ref.attempt, reason="StartFence")
            return True
        began = time.monotonic()
        logs.emit(logs.RUN_STARTED, run=ref.id, attempt=ref.attempt, task=started.task, tries=started.tries)
        ended: Ended = allowed.refusal(started.task) or attempts.run(started)
        seconds = round(time.monotonic() - began, 4)
        if isinstance(ended, Outcome):
            state = lease.cycle(FinishedRun(ref, ended), None).finished
        elif isinstance(ended, Settled):
            state = ended.state
        else:
            logs.emit(logs.RUN_ABANDONED, logging.WARNING, run=ref.id, attempt=ref.attempt, task=started.task, reason=ended.reason)
            return True
        reason = ended.reason if isinstance(ended, Outcome) else ""
        event = logs.RUN_STALE if state is None else logs.RUN_FINISHED
        logs.emit(event, run=ref.id, attempt=ref.attempt, task=started.task, state=state, seconds=seconds, reason=reason)
        return True
    except GraceOver:
        logs.emit(logs.RUN_ABANDONED, logging.ERROR, run=ref.id, attempt=ref.attempt, reason="NoAnswerBeforeEnd")
        return False
    finally:
        attempts.close()
        lease.goodbye()
