"""When what was refused is tried again: after a second, then later and later, a minute later at most."""

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from rowlock_operator.observed.queues import Trouble

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
K = TypeVar("K", bound=Hashable)


@dataclass
class _Refused:
    trouble: Trouble
    version: object
    pause: float
    until: float
    at: float


class Backoffs(Generic[K]):
    """One backoff a key. `version` is what was asked for: something else is tried at once."""

    def __init__(
        self,
        *,
        first_seconds: float = FIRST_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first, self._longest, self._clock = first_seconds, longest_seconds, clock
        self._refused: dict[K, _Refused] = {}

    def trouble(self, key: K) -> Trouble | None:
        """Why it was refused last; None where it was not."""
        known = self._refused.get(key)
        return known.trouble if known is not None else None

    def left(self, key: K, version: object = None) -> float:
        """Seconds until it may be tried again; 0 = now."""
        known = self._refused.get(key)
        return 0.0 if known is None or known.version != version else max(0.0, known.until - self._clock())

    def seconds(self, key: K) -> float:
        """Seconds until what was refused last may be tried again, some time at least."""
        known = self._refused.get(key)
        return 0.0 if known is None else max(0.1, known.until - self._clock())

    def since(self, key: K) -> float:
        """Seconds since it was refused last; infinity where it was not."""
        known = self._refused.get(key)
        return math.inf if known is None else self._clock() - known.at

    def failed(self, key: K, trouble: Trouble, version: object = None) -> Trouble:
        """It was refused just now; returns the trouble. Of tries that were under way together the first
        counts.
        """
        known, now = self._refused.get(key), self._clock()
        if known is None or known.version != version:
            self._refused[key] = _Refused(trouble, version, self._first, now + self._first, now)
        elif now < known.until:
            known.trouble, known.at = trouble, now
        else:
            pause = min(self._longest, known.pause * 2)
            self._refused[key] = _Refused(trouble, version, pause, now + pause, now)
        return trouble

    def worked(self, key: K) -> None:
        """It was taken, or nobody asks for it any more."""
        self._refused.pop(key, None)
