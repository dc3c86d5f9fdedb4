"""Runs exactly one attempt with all fences and ends: the pod of a kube job of contract Sdk. Needs no
Redis.
"""

import logging
import time

from rowlock_jobs import logs
from rowlock_jobs.errors import GraceOver
from rowlock_jobs.fence.values import FinishedRun, RunRef, StartedRun
from rowlock_jobs.outcome import Outcome, failed
from rowlock_jobs.worker.attempts import Attempts
from rowlock_jobs.worker.batch import Ended
from rowlock_jobs.worker.execute import CommittedByTask
from rowlock_jobs.worker.lease import Lease
from rowlock_jobs.worker.shutdown import Shutdown
from rowlock_jobs.worker.task_allow_list import TaskAllowList


def run_once(
    ref: RunRef, *, lease: Lease, attempts: Attempts, shutdown: Shutdown, allow_list: TaskAllowList
) -> bool:
    """True once the ledger knows what became of the attempt, whatever that is; False where it never
    answered.
    """
    shutdown.holding = True
    try:
        lease.take()
        found = lease.cycle((), [ref]).started
        if not found:
            logs.emit(logs.RUN_REFUSED, run=ref.id, attempt=ref.attempt, reason="StartFence")
            return True
        started, began = found[0], time.monotonic()
        logs.emit(logs.RUN_STARTED, run=ref.id, attempt=ref.attempt, task=started.task, tries=started.tries)
        ended: Ended = allow_list.refusal(started.task) or _run(started, attempts)
        seconds = round(time.monotonic() - began, 4)
        if isinstance(ended, Outcome):
            state = lease.cycle([FinishedRun(ref, ended)], ()).finished.get(ref.id)
        elif isinstance(ended, CommittedByTask):
            state = ended.state
        else:
            logs.emit(
                logs.RUN_ABANDONED,
                logging.WARNING,
                run=ref.id,
                attempt=ref.attempt,
                task=started.task,
                reason=ended.reason,
            )
            return True
        reason = ended.reason if isinstance(ended, Outcome) else ""
        event = logs.RUN_STALE if state is None else logs.RUN_FINISHED
        logs.emit(
            event,
            run=ref.id,
            attempt=ref.attempt,
            task=started.task,
            state=state,
            seconds=seconds,
            reason=reason,
        )
        return True
    except GraceOver:
        logs.emit(
            logs.RUN_ABANDONED, logging.ERROR, run=ref.id, attempt=ref.attempt, reason="NoAnswerBeforeEnd"
        )
        return False
    finally:
        attempts.close()
        lease.goodbye()


def _run(started: StartedRun, attempts: Attempts) -> Ended:
    batch = attempts.run([started], lambda batch: None)
    return (
        batch.ended[0][1]
        if batch.ended
        else failed("infra", "ChildKilled", "the process of the task was killed before the task began")
    )
