"""Calls one task in this process and says what became of it: shared by the worker's child and by stock RQ
workers.
"""

import contextvars
import decimal
import inspect
import json
import logging
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from rowlock_jobs import hooks, logs
from rowlock_jobs.errors import FenceAway, FenceRefused, StaleAttempt, TaskError
from rowlock_jobs.fence.session import TaskSession
from rowlock_jobs.fence.values import FinishedRun, RunnerToken, RunRef, StartedRun
from rowlock_jobs.lost_connections import connection_is_closed, database_went_away
from rowlock_jobs.outcome import Outcome, failed, from_exception, succeeded
from rowlock_jobs.task import Carrier, Run, find_task
from rowlock_jobs.worker.coroutines import run_awaitable
from rowlock_jobs.worker.soft_limit import SoftLimit

_NOT_RUN = (GeneratorType, AsyncGeneratorType, map, filter)


@dataclass(frozen=True, slots=True)
class CommittedByTask:
    """The task's own transaction carried the finish. `state` None: stale, its writes were rolled back.
    `remark`: see Outcome.
    """

    state: str | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class CommitUnknown:
    """The commit's answer was lost: only the ledger knows whether it took place."""


@dataclass(slots=True)
class TaskRuntime:
    """What a run may ask of its process (rowlock_jobs.task.Runtime), until it is over: a thread that outlives
    its task must not write into the transaction of the next run.
    """

    session: TaskSession
    ref: RunRef
    token: RunnerToken
    is_canceled: Callable[[], bool]
    write_progress: Callable[[bytes], None]
    over: bool = field(default=False, init=False)
    carrier: Carrier | None = field(default=None, init=False)
    _carrier_key: object = field(default=None, init=False)

    def cancelled(self) -> bool:
        return self.is_canceled()

    def progress(self, progress_json: str) -> None:
        self._must_run()
        self.write_progress(progress_json.encode())

    def begin_effect(self, effect: str) -> bool:
        self._must_run()
        if not isinstance(effect, str):
            raise TypeError(f"run.begin_effect() takes the effect as a text, not {type(effect).__name__}")
        return self.session.ledger.begin_effect(self.ref, token=self.token, effect=effect)

    def end_effect(self, result_json: str | None) -> bool:
        self._must_run()
        return self.session.ledger.end_effect(self.ref, token=self.token, result=result_json)

    def transaction(self) -> AbstractContextManager[Any]:
        self._must_run()
        return self.carrier.transaction() if self.carrier else self.session.transaction()

    def connection(self) -> AbstractContextManager[Any]:
        self._must_run()
        return self.session.connection()

    def enqueue(self, parameters: Mapping[str, Any]) -> str | None:
        self._must_run()
        return (self.carrier or self.session).enqueue(parameters)

    def carry(self, key: object, make: Callable[[], Carrier]) -> Carrier:
        """The transaction of an ORM, once for each run, that carries its finish. Raises RuntimeError where
        another one does already.
        """
        self._must_run()
        if self.carrier is None and not self.session.in_transaction:
            self.carrier, self._carrier_key = make(), key
        if self.carrier is None or self._carrier_key != key:
            raise RuntimeError(
                "another transaction carries the finish of this run already: open the ORM's first,"
                " run.transaction() joins it"
            )
        return self.carrier

    def _must_run(self) -> None:
        if self.over:
            raise StaleAttempt(
                "the run is over: what outlives its task (a thread, a callback) may not use it"
            )


def execute_task(
    started: StartedRun, runtime: TaskRuntime, limit: SoftLimit
) -> Outcome | CommittedByTask | CommitUnknown:
    """Calls the task and, where it opened run.transaction(), the finish fence in that transaction."""
    # In a copy of the context: a variable that a task sets ends with its run, and so does the precision of
    # its decimals.
    return contextvars.copy_context().run(_execute, started, runtime, limit)


def _execute(
    started: StartedRun, runtime: TaskRuntime, limit: SoftLimit
) -> Outcome | CommittedByTask | CommitUnknown:
    try:
        outcome = _call(started, runtime, limit)
        runtime.over = True
        return _finish(outcome, started, runtime)
    finally:
        hooks.call_after()


def _finish(
    outcome: Outcome, started: StartedRun, runtime: TaskRuntime
) -> Outcome | CommittedByTask | CommitUnknown:
    carrier = runtime.carrier or (runtime.session if runtime.session.in_transaction else None)
    if carrier is None:
        return outcome
    if outcome.kind != "succeeded":
        carrier.rollback()
        return outcome
    try:
        return CommittedByTask(
            carrier.finish(FinishedRun(started.ref, outcome), runtime.token), outcome.reason
        )
    except FenceAway:
        return CommitUnknown()
    except FenceRefused as error:
        message = str(error)
        if outcome.result is not None and "unicode" in message.lower():
            message = f"PostgreSQL cannot store the result as jsonb: {message}"
            return failed("app", "ResultNotStorable", message, permanent=True)
        return failed(
            "app",
            "TransactionFailed",
            f"the task's transaction could not be committed with its finish: {message}",
        )


def _call(started: StartedRun, runtime: TaskRuntime, limit: SoftLimit) -> Outcome:
    decimal.setcontext(decimal.getcontext().copy())
    ref, function = started.ref, find_task(started.task)
    if function is None:
        return failed("input", "TaskUnknown", f"no module of ROWLOCK_IMPORTS registers task {started.task!r}")
    try:
        args = json.loads(started.args)
    except (ValueError, RecursionError) as error:
        return failed(
            "input",
            "ArgsNotReadable",
            f"PostgreSQL holds these arguments, but Python cannot read them: {error}; correct the row",
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
            _runtime=runtime,
        )
        with limit:
            hooks.call_before(run)
            result = function(run)
            if inspect.isawaitable(result):
                result = run_awaitable(result, limit, runtime.is_canceled)
    except BaseException as error:  # noqa: BLE001 - a task's SystemExit and KeyboardInterrupt are its failures too
        if isinstance(error, MemoryError):
            # what filled the memory must go before the failure can be told
            traceback.clear_frames(error.__traceback__)
        lost = database_went_away(error)
        if lost or connection_is_closed(error):
            hooks.replace_process()
        if (
            lost
            or isinstance(error, FenceAway)
            or (runtime.session.is_lost(error) and not isinstance(error, TaskError))
        ):
            return failed(
                "infra", "DatabaseAway", f"the database went away under the task: {type(error).__name__}"
            )
        return from_exception(error)
    finally:
        if limit.is_lost:
            logs.emit(
                logs.SOFT_LIMIT_LOST, logging.WARNING, run=ref.id, attempt=ref.attempt, task=started.task
            )
    if isinstance(result, _NOT_RUN):
        message = (
            f"the task returned a {type(result).__name__}, and nothing of what stands in it has run: loop"
            " over it in the task"
        )
        return failed("app", "NothingRan", message, permanent=True)
    return succeeded(result)
