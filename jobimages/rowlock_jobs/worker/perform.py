"""Calls one task in this process and says what became of it: shared by the worker's child and by stock RQ workers."""

import contextvars
import decimal
import json
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from rowlock_jobs import logs
from rowlock_jobs.errors import FenceAway, FenceRefused, SoftTimeLimit, StaleAttempt, TaskError
from rowlock_jobs.fence.session import TaskSession
from rowlock_jobs.fence.values import FinishedRun, RunnerToken, RunRef, StartedRun
from rowlock_jobs.outcome import Outcome, failed, from_exception, succeeded
from rowlock_jobs.task import Run, find_task


@dataclass(frozen=True, slots=True)
class Settled:
    """The task's own transaction carried the finish. `state` None: stale, its writes were rolled back."""

    state: str | None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The commit's answer was lost: only the ledger knows whether it took place."""


@dataclass(slots=True)
class Port:
    """What a run may ask of its process (rowlock_jobs.task.RunPort), until it is over: a thread that outlives its task must not write
    into the transaction of the next run."""

    session: TaskSession
    ref: RunRef
    token: RunnerToken
    is_canceled: Callable[[], bool]
    write_progress: Callable[[bytes], None]
    over: bool = field(default=False, init=False)

    def cancelled(self) -> bool:
        return self.is_canceled()

    def progress(self, progress_json: str) -> None:
        self._must_run()
        self.write_progress(progress_json.encode())

    def begin_effect(self, effect: str) -> bool:
        self._must_run()
        return self.session.ledger.begin_effect(self.ref, token=self.token, effect=effect)

    def end_effect(self, result_json: str | None) -> bool:
        self._must_run()
        return self.session.ledger.end_effect(self.ref, token=self.token, result=result_json)

    def transaction(self) -> AbstractContextManager[Any]:
        self._must_run()
        return self.session.transaction()

    def connection(self) -> AbstractContextManager[Any]:
        self._must_run()
        return self.session.connection()

    def _must_run(self) -> None:
        if self.over:
            raise StaleAttempt("the run is over: what outlives its task (a thread, a callback) may not use it")


class SoftLimit:
    """Raises SoftTimeLimit once, in the main thread, only while the task runs; then an outer alarm (stock RQ's timeout) goes on."""

    def __init__(self, soft_seconds: float) -> None:
        self._soft_seconds = soft_seconds
        self._armed = False
        self._outer_at = 0.0
        self._outer_handler: Any = signal.SIG_DFL

    def __enter__(self) -> None:
        left_seconds = signal.getitimer(signal.ITIMER_REAL)[0]
        self._outer_at = time.monotonic() + left_seconds if left_seconds else 0.0
        self._outer_handler = signal.signal(signal.SIGALRM, self._ring)
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, self._soft_seconds)

    def __exit__(self, *_: object) -> None:
        if self._armed:
            # First the flag: an alarm that is on its way then finds nobody to disturb.
            self._armed = False
            self._give_back()

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            self._give_back()
            raise SoftTimeLimit(f"the task ran into its soft limit of {self._soft_seconds:g} s")

    def _give_back(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._outer_handler or signal.SIG_DFL)
        if self._outer_at:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, self._outer_at - time.monotonic()))


def perform(started: StartedRun, port: Port, limit: AbstractContextManager[None]) -> Outcome | Settled | Unsettled:
    """Calls the task and, where it opened run.transaction(), the finish fence in that transaction."""
    session = port.session
    # In a copy of the context: a variable that a task sets ends with its run, and so does the precision of its decimals.
    outcome = contextvars.copy_context().run(_call, started, port, limit)
    port.over = True
    if not session.in_transaction:
        return outcome
    if outcome.kind != "succeeded":
        session.rollback()
        return outcome
    try:
        return Settled(session.finish(FinishedRun(started.ref, outcome), port.token))
    except FenceAway:
        return Unsettled()
    except FenceRefused as error:
        message = str(error)
        if outcome.result is not None and "unicode" in message.lower():
            message = f"PostgreSQL cannot store the result as jsonb: {message}"
            return failed("app", "ResultNotStorable", message, permanent=True)
        return failed("app", "TransactionFailed", f"the task's transaction could not be committed with its finish: {message}")


def _call(started: StartedRun, port: Port, limit: AbstractContextManager[None]) -> Outcome:
    decimal.setcontext(decimal.getcontext().copy())
    ref, function = started.ref, find_task(started.task)
    if function is None:
        return failed("input", "TaskUnknown", f"no module of ROWLOCK_IMPORTS registers task {started.task!r}")
    try:
        args = json.loads(started.args)
    except (ValueError, RecursionError) as error:
        return failed(
            "input", "ArgsNotReadable", f"PostgreSQL holds these arguments, but Python cannot read them: {error}; correct the row"
        )
    try:
        run = Run(
            id=ref.id,
            attempt=ref.attempt,
            task=started.task,
            queue=started.queue,
            args=args,
            source_key=started.source_key,
            tries=started.tries,
            log=logs.run_logger(run=ref.id, attempt=ref.attempt, task=started.task, queue=started.queue),
            _port=port,
        )
        with limit:
            result = function(run)
    except BaseException as error:  # noqa: BLE001 - a task's SystemExit and KeyboardInterrupt are its failures too
        if isinstance(error, MemoryError):
            traceback.clear_frames(error.__traceback__)  # what filled the memory must go before the failure can be told
        if isinstance(error, FenceAway) or (port.session.is_lost(error) and not isinstance(error, TaskError)):
            return failed("infra", "DatabaseAway", f"the database went away under the task: {type(error).__name__}")
        return from_exception(error)
    return succeeded(result)
