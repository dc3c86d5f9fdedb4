"""What a duty does less often than it is called."""

import time


class Intervals:
    """Remembers when each thing was done last."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def due(self, what: str, seconds: float) -> bool:
        """True at the first call for `what`, then once every `seconds`; the caller does it now."""
        now = time.monotonic()
        if now - self._last.get(what, float("-inf")) < seconds:
            return False
        self._last[what] = now
        return True
