"""What the parts of the launcher share: how they see kube jobs, their settings, and one thing at a time for
an attempt.
"""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.failing import ONE_KUBE_JOB
from rowlock_operator.errors import RowlockError
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen

log = logging.getLogger("rowlock.dispatch")
Attempt = tuple[str, int]


class KubeRunView(Protocol):
    """What the informers know, by attempt."""

    def synced(self) -> bool: ...
    def kube_jobs(self) -> dict[Attempt, KubeJobSeen]: ...
    def pods(self) -> dict[Attempt, PodSeen]: ...


@dataclass(frozen=True)
class LauncherSettings:
    parallel: int = 16  # creations under way: 10 connections reach 343 jobs/s, one 143
    every_seconds: float = 2.0  # between two looks when nothing happens
    least_seconds: float = 0.03  # and when something does
    missing_seconds: float = 3.0  # a claim this old without a kube job is launched (again)
    slow_seconds: float = 5.0  # a creation that is not answered for so long is told
    orphan_seconds: float = 30.0  # a kube job whose run ended may take this long to end by itself
    queue_write_bytes: float = (
        0.0  # what the kube jobs of one queue may put into the API server within its window; 0 = no bound
    )
    total_write_bytes: float = 0.0  # and those of all queues together


class AttemptTasks:
    """What is under way, one thing at a time for an attempt; what fails is told as a trouble of its
    database.
    """

    def __init__(self) -> None:
        self.busy: set[Attempt] = set()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> bool:
        """Whether anything is under way."""
        return bool(self._tasks)

    def guarded(
        self, dispatcher: DatabaseDispatcher, attempt: Attempt, work: Awaitable[None]
    ) -> asyncio.Task[None]:
        """Begins it, unless something else is done for the attempt already."""
        return self.start(dispatcher, self._guarded(attempt, work))

    def start(self, dispatcher: DatabaseDispatcher, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(dispatcher, done))
        return task

    def own(self, task: asyncio.Task[None]) -> None:
        """A task that tells of its failures itself."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _guarded(self, attempt: Attempt, work: Awaitable[None]) -> None:
        if attempt in self.busy:
            if asyncio.iscoroutine(work):
                work.close()
            return
        self.busy.add(attempt)
        try:
            await work
        finally:
            self.busy.discard(attempt)

    def _ended(self, dispatcher: DatabaseDispatcher, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, RowlockError):
            log.warning("kube_run_not_tended", extra={"why": str(error)})  # the next look repeats it
        elif error is not None:
            log.error("kube_run_not_tended", exc_info=error)
        if isinstance(error, Exception):
            dispatcher.state.failing.met(ONE_KUBE_JOB, error)
        elif not task.cancelled():
            dispatcher.state.failing.worked(ONE_KUBE_JOB)
