"""The wish to end: a signal only sets a flag, so that nothing is ever interrupted in the middle of a turn
(rq#2175, rq#2268).
"""

import logging
import signal
import time
from collections.abc import Callable
from types import FrameType

from rowlock_jobs import logs
from rowlock_jobs.errors import GraceOver

_SLICE_SECONDS = 0.25


class Shutdown:
    """First SIGTERM or SIGINT: no new runs, the current one gets `grace_seconds`. Second: the current one is
    given up.
    """

    def __init__(self, grace_seconds: float, while_waiting: Callable[[], None] = lambda: None) -> None:
        self._grace_seconds = grace_seconds
        self.while_waiting = while_waiting
        self.requested = False
        self._deadline = float("inf")
        self.holding = False  # an outcome or a run that somebody waits for

    def install(self) -> None:
        """Takes over SIGTERM and SIGINT of this process."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    @property
    def deadline(self) -> float:
        """Until when the current run may go on (monotonic); infinite while nobody asked."""
        return self._deadline

    def is_over(self, now: float) -> bool:
        """Whether the current run has to be given up."""
        return now >= self._deadline

    def pause(self, seconds: float) -> None:
        """Waits for another try. Raises GraceOver where the process should rather end."""
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if self.requested and (not self.holding or self.is_over(now)):
                raise GraceOver("asked to end while waiting for an answer")
            self.while_waiting()
            if now >= end:
                return
            time.sleep(min(_SLICE_SECONDS, end - now))

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self.request()

    def request(self) -> None:
        """The first or the second wish."""
        now = time.monotonic()
        self._deadline = now if self.requested else now + self._grace_seconds
        self.requested = True


def announce(shutdown: Shutdown) -> None:
    """Logs the wish once it was seen (a signal handler must not log: it may interrupt a log line)."""
    logs.emit(
        logs.WORKER_STOPPING,
        logging.INFO,
        grace_seconds=round(max(0.0, shutdown.deadline - time.monotonic()), 1),
    )
