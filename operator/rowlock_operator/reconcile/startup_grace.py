"""Not yet known is no news: for a while after the start nothing is said of what is still being counted.

So a restart in which nothing changed writes nothing, and a first status is written once and whole."""

import time
from collections.abc import Callable

from rowlock_operator.api.manifest import ObjectKey

GRACE_SECONDS = 10.0


class StartupGrace:
    """Remembers since when a key waits; who reaches the end of it says what is missing."""

    def __init__(self, seconds: float = GRACE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._since: dict[ObjectKey, float] = {}

    def left(self, key: ObjectKey) -> float:
        """Seconds that may still be waited; 0 when it is over."""
        now = self._clock()
        return max(0.0, self._since.setdefault(key, now) + self._seconds - now)

    def end(self, key: ObjectKey) -> None:
        """What was waited for is there, or the object is gone."""
        self._since.pop(key, None)
