"""Threads of one database for those who work on the event loop: one that hangs takes neither thread nor time
from others.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from rowlock_operator.errors import RetryLater

P = ParamSpec("P")
R = TypeVar("R")
THREADS = 16  # as many as its pools have connections, about; those that are not used are not started
PATIENCE_SECONDS = 10.0  # without any answer; a server that is dead without a word is found out within that
QUICK_SECONDS = 1.0  # "connection refused" is an answer, too: whoever waits for that waits for nobody


class DatabaseThreads:
    """`run` is for who can wait; `ask` for the reconcilers, who are few and serve all databases."""

    def __init__(
        self,
        name: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._patience, self._clock = name, patience_seconds, clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"database {name}")
        self._asked = 0  # questions that are not answered yet
        self._heard_at = 0.0  # when one was answered last, or the first of them was asked
        self._silent = False  # none was answered for too long, and none has been since

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of `work`, from a thread. Raises RetryLater where the database was closed meanwhile."""
        call = partial(contextvars.copy_context().run, partial(work, *args, **kwargs))
        try:
            future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        except RuntimeError as error:
            raise RetryLater(f"database {self._name} is not in use any more") from error
        began = self._clock()
        try:
            result = await future
        except RetryLater:
            if self._clock() - began < QUICK_SECONDS:
                self._heard()
            raise
        except Exception:
            self._heard()
            raise
        self._heard()
        return result

    async def ask(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same, with a bound: raises RetryLater where no question at all was answered for that long, and
        at once while another one waits to see whether that is over. Many slow answers are answers: who stands
        in line waits.
        """
        if self._silent and self._asked:
            raise self._no_answer()
        if not self._asked:
            self._heard_at = self._clock()
        self._asked += 1
        task = asyncio.ensure_future(self.run(work, *args, **kwargs))
        task.add_done_callback(self._answered)
        while not task.done():
            left = self._heard_at + self._patience - self._clock()
            if left <= 0:
                self._silent = True
                raise self._no_answer()
            await asyncio.wait([task], timeout=left)
        return task.result()

    def _no_answer(self) -> RetryLater:
        return RetryLater(
            f"database {self._name}: it has not answered for {self._clock() - self._heard_at:.0f} s"
        )

    def _heard(self) -> None:
        self._heard_at, self._silent = self._clock(), False

    def _answered(self, task: "asyncio.Future[Any]") -> None:
        self._asked -= 1
        if not task.cancelled():
            task.exception()  # nobody may be there any more to take it

    def close(self) -> None:
        """What is at work goes on to its end; nothing new begins."""
        self._threads.shutdown(wait=False)
