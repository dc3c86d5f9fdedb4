"""What a duty does less often than it is called."""

import time
from collections.abc import Callable


class Intervals:
    """Remembers when each thing was done last."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._failed: Exception | None = None

    def due(self, what: str, seconds: float) -> bool:
        """True at the first call for `what`, then once every `seconds`; the caller does it now."""
        now = time.monotonic()
        if now - self._last.get(what, float("-inf")) < seconds:
            return False
        self._last[what] = now
        return True

    def attempt(self, what: str, seconds: float, action: Callable[[], object]) -> None:
        """Does it where it is due. What fails holds up nothing else of this pass, and is due again at the
        next, not an interval later.
        """
        if not self.due(what, seconds):
            return
        try:
            action()
        except Exception as error:  # noqa: BLE001 - raised at the end of the pass
            self._last.pop(what, None)
            self._failed = self._failed or error

    def raise_failed(self) -> None:
        """The first error of this pass, if there was one."""
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
