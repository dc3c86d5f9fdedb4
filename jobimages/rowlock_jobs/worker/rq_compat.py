"""What the data of our RQ ids names: lets a stock `rq worker` run them, with every fence.

Slower than the worker of this package (a new lease a run) and without its isolation: a hard limit is RQ's own
job timeout, a lost lease cannot stop the task, only refuse its outcome.
"""

import os
import socket
import threading
import time
from functools import cache
from uuid import uuid4

from rq import get_current_job

from rowlock_jobs.errors import FenceAway, FenceRefused, RowlockError
from rowlock_jobs.fence.connection import FenceConnection
from rowlock_jobs.fence.ledger import Ledger
from rowlock_jobs.fence.pool import ConnectionPool
from rowlock_jobs.fence.session import TaskSession
from rowlock_jobs.fence.values import FinishedRun, RunnerId, RunnerToken, parse_rq_id
from rowlock_jobs.outcome import Outcome, failed
from rowlock_jobs.settings import Settings, load_settings
from rowlock_jobs.task import import_tasks, registered_tasks
from rowlock_jobs.worker.execute import CommittedByTask, CommitUnknown, TaskRuntime, execute_task
from rowlock_jobs.worker.insist import insist, storable
from rowlock_jobs.worker.refusal import refusal_note
from rowlock_jobs.worker.shared_memory import SharedMemory
from rowlock_jobs.worker.soft_limit import SoftLimit
from rowlock_jobs.worker.task_allow_list import TaskAllowList


class RunFailed(RowlockError):
    """Tells RQ that the run did not succeed; names a class and a reason, never a user's data."""


def run() -> None:
    """Runs the attempt whose id RQ gave this process. Raises RunFailed for RQ's own records; the ledger has
    the outcome by then.
    """
    rq_job = get_current_job()
    ref = parse_rq_id(rq_job.id) if rq_job else None
    if ref is None:
        raise RunFailed("NotARunId")
    settings = _settings()
    ledger = Ledger(FenceConnection(settings.database, "rowlock-stock"))
    token = RunnerToken(str(uuid4()))
    runner = ledger.hello(
        name=f"{socket.gethostname()}.{os.getpid()}.{token[:6]}", lease_seconds=settings.lease.lease_seconds
    )
    memory, ended = SharedMemory(), threading.Event()
    pool = ConnectionPool(settings.database)
    session = TaskSession(pool)
    renewer = threading.Thread(target=_renew, args=(settings, runner, ref.id, memory, ended), daemon=True)
    try:
        found = ledger.start([ref], runner=runner, token=token)
        if not found:
            if note := refusal_note(ref, ledger.states([ref.id]).get(ref.id)):
                raise RunFailed(note)
            return
        started = found[0]
        renewer.start()
        answer: Outcome | CommittedByTask | CommitUnknown | None = TaskAllowList.of(
            settings, registered_tasks()
        ).refusal(started.task)
        if answer is None:
            runtime = TaskRuntime(session, ref, token, lambda: memory.is_canceled(1), memory.write_progress)
            answer = execute_task(started, runtime, SoftLimit(settings.limits.soft_seconds))
        if isinstance(answer, CommitUnknown):
            answer = failed(
                "infra", "CommitLost", "the database went away while the task's transaction was committed"
            )
        if isinstance(answer, Outcome):
            # The lease is renewed meanwhile; RQ's own timeout ends it where the ledger never answers.
            storable(
                FinishedRun(ref, answer),
                lambda each: insist(lambda: ledger.finish([each], token=token), time.sleep),
            )
            if answer.kind != "succeeded":
                raise RunFailed(f"{answer.failure_class} {answer.reason}") from None
    finally:
        session.end()
        pool.close()
        ended.set()
        if renewer.is_alive():
            renewer.join(timeout=5)
        ledger.goodbye(runner)
        ledger.connection.close()


@cache
def _settings() -> Settings:
    # The one place besides wiring that reads the environment: a stock worker knows nothing of our wiring.
    settings = load_settings(os.environ)
    import_tasks(settings.imports)
    return settings


def _renew(
    settings: Settings, runner: RunnerId, run_id: str, memory: SharedMemory, ended: threading.Event
) -> None:
    ledger = Ledger(FenceConnection(settings.database, "rowlock-stock-lease"))
    while not ended.wait(settings.lease.renew_seconds):
        try:
            alive, cancel = ledger.renew(runner, lease_seconds=settings.lease.lease_seconds)
        except (FenceAway, FenceRefused):
            continue
        if not alive or run_id in cancel:
            memory.cancel(1)
    ledger.connection.close()
