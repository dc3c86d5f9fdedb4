"""A queue of keys to look at: each key once, one worker a key, failing keys later and later.

A key is in one of four places: ready (soon), timed (later), running, or running and wanted again. Adding a
key that is ready changes nothing; adding one that is timed brings it forward, never back; adding one that
runs makes it run once more afterwards.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from rowlock_operator.errors import RetryLater

log = logging.getLogger("rowlock.reconcile")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class KeyQueueSettings:
    """How fast and how patiently keys are worked on."""

    workers: int = 20
    """Keys worked on at once; a reconcile mostly waits for the API server, whose client has 20
    connections.
    """
    first_backoff_seconds: float = 0.2
    """After the first failure of a key; doubles with each further one."""
    last_backoff_seconds: float = 300.0
    """A key that keeps failing is looked at this often: five minutes is soon enough to notice a repair."""
    jitter: float = 0.25
    """Share by which a backoff is made longer or shorter, so that keys that failed together do not return
    together.
    """
    min_interval_seconds: float = 0.0
    """Between two starts of one key: coalesces a burst of events into one look."""


@dataclass(frozen=True)
class _Work(Generic[K]):
    """What is done with a key, and who is told of it."""

    handle: Callable[[K], Awaitable[float | None]]
    on_error: Callable[[K, Exception], None]
    on_done: Callable[[K, float], None]


class KeyQueue(Generic[K]):
    """Keys may be added before somebody works on them. For one event loop; not thread-safe."""

    def __init__(
        self,
        *,
        settings: KeyQueueSettings | None = None,
        rng: random.Random | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.settings = settings or KeyQueueSettings()
        self._rng = rng or random.Random()
        self._clock = clock or time.monotonic
        self._ready: dict[K, None] = {}  # an ordered set
        self._timed: dict[K, tuple[float, asyncio.TimerHandle]] = {}
        self._running: dict[K, float | None] = {}  # value: when it is wanted again
        self._failures: dict[K, int] = {}
        self._started_at: dict[K, float] = {}
        self._work = asyncio.Semaphore(0)  # one permit a ready key

    def __len__(self) -> int:
        """Keys that are ready or running; those timed for later do not count."""
        return len(self._ready) + len(self._running)

    @property
    def failing(self) -> int:
        """Keys whose last look failed."""
        return len(self._failures)

    def add(self, key: K) -> None:
        """Look at `key` as soon as a worker is free (and its minimum interval has passed)."""
        self.add_after(key, 0.0)

    def add_after(self, key: K, seconds: float) -> None:
        """Look at `key` in `seconds`, or sooner if it is wanted sooner already."""
        when = max(
            self._clock() + seconds,
            self._started_at.get(key, float("-inf")) + self.settings.min_interval_seconds,
        )
        if key in self._running:
            wanted = self._running[key]
            self._running[key] = when if wanted is None else min(wanted, when)
        elif key not in self._ready:
            self._schedule(key, when)

    def forget(self, key: K) -> None:
        """Drops what is remembered of a key whose object is gone; a look already under way ends by itself."""
        self._failures.pop(key, None)
        self._started_at.pop(key, None)
        if timed := self._timed.pop(key, None):
            timed[1].cancel()

    async def run(
        self,
        handle: Callable[[K], Awaitable[float | None]],
        *,
        on_error: Callable[[K, Exception], None] = lambda _key, _error: None,
        on_done: Callable[[K, float], None] = lambda _key, _seconds: None,
    ) -> None:
        """Works until cancelled. Looks under way are cancelled with it and their keys kept, so a later
        `run()` loses none.

        `handle(key)` looks at a key and returns after how many seconds to look again (None: when something
        happens). It may raise, which `on_error` is told: RetryLater's own `after_seconds` wins over the
        backoff. `on_done(key, seconds)`: a look has ended, well or not.
        """
        work = _Work(handle, on_error, on_done)
        async with asyncio.TaskGroup() as group:
            for number in range(self.settings.workers):
                group.create_task(self._worker(work), name=f"reconcile worker {number}")

    def close(self) -> None:
        """Cancels the timers; the queue is not used afterwards."""
        for _, timer in self._timed.values():
            timer.cancel()
        self._timed.clear()

    def _schedule(self, key: K, when: float) -> None:
        if timed := self._timed.get(key):
            if timed[0] <= when:
                return
            timed[1].cancel()
            del self._timed[key]
        wait = when - self._clock()
        if wait <= 0:
            self._make_ready(key)
        else:
            timer = asyncio.get_running_loop().call_later(wait, self._ring, key)
            self._timed[key] = (when, timer)

    def _ring(self, key: K) -> None:
        del self._timed[key]
        self._make_ready(key)

    def _make_ready(self, key: K) -> None:
        self._ready[key] = None
        self._work.release()

    async def _worker(self, work: "_Work[K]") -> None:
        while True:
            await self._work.acquire()
            key = next(iter(self._ready))
            del self._ready[key]
            await self._look(key, work)

    async def _look(self, key: K, work: "_Work[K]") -> None:
        started = self._clock()
        self._running[key] = None
        if self.settings.min_interval_seconds:
            self._remember_start(key, started)
        again: float | None = None
        try:
            again = await work.handle(key)
            self._failures.pop(key, None)
        except asyncio.CancelledError:
            again = 0.0  # the next leader's workers, or ours again, take it up
            raise
        except Exception as error:  # noqa: BLE001 - the loop's edge: counted, logged, tried again later
            work.on_error(key, error)
            again = self._after_failure(key, error)
        finally:
            wanted = self._running.pop(key)
            times = [
                when
                for when in (wanted, None if again is None else self._clock() + again)
                if when is not None
            ]
            if times:
                floor = self._started_at.get(key, float("-inf")) + self.settings.min_interval_seconds
                self._schedule(key, max(floor, min(times)))
            work.on_done(key, self._clock() - started)

    def _after_failure(self, key: K, error: Exception) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        spread = self._rng.uniform(1 - self.settings.jitter, 1 + self.settings.jitter)
        # The exponent is bounded: 2.0 ** 1100 is an OverflowError, and a key may fail that often.
        backoff = (
            min(
                self.settings.last_backoff_seconds,
                self.settings.first_backoff_seconds * 2.0 ** min(failures - 1, 30),
            )
            * spread
        )
        asked = error.after_seconds if isinstance(error, RetryLater) else None
        wait = asked if asked is not None else backoff
        log.debug(
            "reconcile_failed",
            extra={"key": str(key), "error": str(error), "failures": failures, "again_after_seconds": wait},
        )
        return wait

    def _remember_start(self, key: K, now: float) -> None:
        self._started_at[key] = now
        if len(self._started_at) > 2 * (len(self) + len(self._timed)) + 1000:
            limit = now - self.settings.min_interval_seconds
            self._started_at = {k: at for k, at in self._started_at.items() if at > limit}
