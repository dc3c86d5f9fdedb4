"""Runs a task that is a coroutine, in an event loop of its own, so that its limits reach it as they reach any
other task.

The soft limit and a cancel are raised inside the task: where it awaits, by way of a cancellation, so that
task groups, timeouts and whatever it awaits end in the order asyncio knows; where it computes, at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import coroutine
from typing import Any

from rowlock_jobs.errors import Canceled, SoftTimeLimit
from rowlock_jobs.worker.soft_limit import SoftLimit

_LOOK_SECONDS = 0.25  # how late a cancel is seen


class _SoftTimeLimitInLoop(SoftTimeLimit, asyncio.CancelledError):
    """For `except SoftTimeLimit` as for `except CancelledError`: asyncio's own parts must take it for the
    cancellation it is.
    """


class _CanceledInLoop(Canceled, asyncio.CancelledError):
    """See above."""


def run_awaitable(awaitable: Awaitable[Any], limit: SoftLimit, is_canceled: Callable[[], bool]) -> Any:
    """What the awaitable gives. Raises what it raises, SoftTimeLimit and Canceled among it."""
    inside = _Inside(awaitable, is_canceled)
    with limit.delivered_by(
        lambda error: inside.interrupt(_SoftTimeLimitInLoop(str(error), reason=error.reason))
    ):
        try:
            asyncio.run(inside.run())
        except SoftTimeLimit:
            if not inside.has_ended:  # else the loop's own end took too long, and the task has its result
                raise
    if inside.error is not None:
        raise inside.error
    return inside.result


class _Inside:
    """The task in its loop."""

    def __init__(self, awaitable: Awaitable[Any], is_canceled: Callable[[], bool]) -> None:
        self._awaitable, self._is_canceled = awaitable, is_canceled
        self._task: asyncio.Task[Any] | None = None
        self._interruption: BaseException | None = None
        self.has_ended = False
        self.result: Any = None
        self.error: BaseException | None = None

    async def run(self) -> None:
        loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        loop.call_later(_LOOK_SECONDS, self._look, loop)
        try:
            self.result = await _steps(_awaited(self._awaitable), self._instead_of)
        except BaseException as error:  # noqa: BLE001 - an end by CancelledError would be the loop's, not the task's
            self.error = _unwrapped(error)
        self._task, self.has_ended = None, True

    def interrupt(self, error: BaseException) -> None:
        """From a signal handler or from a callback of the loop: both run in the loop's thread."""
        if self._task is None or asyncio.current_task(loop := self._task.get_loop()) is self._task:
            raise error
        self._interruption = error
        loop.call_soon_threadsafe(self._task.cancel)

    def _instead_of(self, error: BaseException) -> BaseException:
        """What the task is told in place of the cancellation that `interrupt` asked for."""
        interruption = self._interruption
        if interruption is None or not isinstance(error, asyncio.CancelledError):
            return error
        self._interruption = None
        if self._task is not None:
            self._task.uncancel()
        return interruption

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._task is not None and self._is_canceled():
            self.interrupt(_CanceledInLoop("the run was canceled", reason="Canceled"))
        else:
            loop.call_later(_LOOK_SECONDS, self._look, loop)


def _unwrapped(error: BaseException) -> BaseException:
    """A task group hands on what was raised in its block as a group of one."""
    while (
        isinstance(error, BaseExceptionGroup)
        and error.split((_SoftTimeLimitInLoop, _CanceledInLoop))[1] is None
    ):
        error = error.exceptions[0]
    return error


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@coroutine
def _steps(
    inner: Coroutine[Any, Any, Any], instead_of: Callable[[BaseException], BaseException]
) -> Generator[Any, Any, Any]:
    """`await inner`, where what is thrown into it may be replaced."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            awaited = inner.send(value) if error is None else inner.throw(error)
        except StopIteration as end:
            return end.value
        value, error = None, None
        try:
            value = yield awaited
        except BaseException as thrown:  # noqa: BLE001 - passed on
            error = instead_of(thrown)
