"""The soft limit: an alarm that the task sees as an exception, in the main thread."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rowlock_jobs.errors import SoftTimeLimit

# signal.signal() and signal.getsignal() make enum members of numbers and back: twice the time of all the rest
# here.
_signal, _getsignal = (vars(sys.modules["_signal"])[name] for name in ("signal", "getsignal"))
_JUST_NOW_SECONDS = 0.1  # it may have rung and not be heard yet


class SoftLimit:
    """Raises SoftTimeLimit once, only while the task runs; then an outer alarm (stock RQ's timeout) goes on.

    A process has one such alarm. `is_lost` says, once the task is over, that something in it took the alarm
    for itself: a limit that did not hold. `on_ring` is told when it rings; `announce(at)` when that will be
    (monotonic clock), and 0.0 once it will not.
    """

    def __init__(
        self,
        soft_seconds: float,
        on_ring: Callable[[], None] = lambda: None,
        announce: Callable[[float], None] = lambda at: None,
    ) -> None:
        self._soft_seconds, self._on_ring, self._announce = soft_seconds, on_ring, announce
        self._armed = False
        self._rings_at = 0.0
        self._outer_at = 0.0
        self._outer_handler: Any = signal.SIG_DFL
        self._deliver: Callable[[SoftTimeLimit], None] = _raise
        self.is_lost = False

    def __enter__(self) -> None:
        left_seconds = signal.getitimer(signal.ITIMER_REAL)[0]
        self._outer_at = time.monotonic() + left_seconds if left_seconds else 0.0
        self._outer_handler = _signal(signal.SIGALRM, self._ring)
        self._armed, self.is_lost = True, False
        self._rings_at = time.monotonic() + self._soft_seconds
        self._announce(self._rings_at)
        signal.setitimer(signal.ITIMER_REAL, self._soft_seconds)

    def __exit__(self, *_: object) -> None:
        if self._armed:
            # First the flag: an alarm that is on its way then finds nobody to disturb.
            self._armed = False
            self.is_lost = self._was_taken()
            self._give_back()

    @contextmanager
    def delivered_by(self, deliver: Callable[[SoftTimeLimit], None]) -> Iterator[None]:
        """In this block `deliver(error)` is called, from the signal's handler, where the error would be
        raised.
        """
        self._deliver = deliver
        try:
            yield
        finally:
            self._deliver = _raise

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            self._give_back()
            self._on_ring()
            self._deliver(SoftTimeLimit(f"the task ran into its soft limit of {self._soft_seconds:g} s"))

    def _was_taken(self) -> bool:
        if _getsignal(signal.SIGALRM) != self._ring:
            return True
        left_seconds = self._rings_at - time.monotonic()
        return left_seconds > _JUST_NOW_SECONDS and not signal.getitimer(signal.ITIMER_REAL)[0]

    def _give_back(self) -> None:
        self._announce(0.0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _signal(signal.SIGALRM, self._outer_handler or int(signal.SIG_DFL))
        if self._outer_at:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, self._outer_at - time.monotonic()))


def _raise(error: SoftTimeLimit) -> None:
    raise error
