"""A duty: one thread that calls `run_once` again and again, waits as long as it says, and survives its
errors.
"""

import logging
import random
import threading
import time
from collections.abc import Callable

from rowlock_operator.api.reasons import TABLE_LOCKED
from rowlock_operator.dispatch.state import SharedState
from rowlock_operator.errors import GiveUp, RowlockError

log = logging.getLogger("rowlock.dispatch")
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS, _AFTER_A_LOCK_SECONDS = 0.2, 10.0, 1.0


class Duty:
    """`run_once` returns the seconds until the next call; an error backs off with jitter and is shown in the
    state until it is gone.
    """

    def __init__(
        self,
        name: str,
        state: SharedState,
        run_once: Callable[[], float],
        *,
        on_error: Callable[[str], None] = lambda name: None,
        stop: threading.Event | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.name, self._state, self._run_once, self._on_error = name, state, run_once, on_error
        self._stop = stop or threading.Event()
        # an own pause may end early; it lasts no longer than it is asked to
        self._pause = pause or self._stop.wait
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._stop.is_set():
            pause = self._pause
            self._state.busy_since[self.name] = time.monotonic()
            try:
                wait = self._run_once()
                backoff = _FIRST_BACKOFF_SECONDS
                self._state.failing.worked(self.name)
                if self._state.errors.pop(self.name, None):
                    log.info("duty_recovered", extra={"duty": self.name})
            except Exception as error:  # noqa: BLE001 - the loop's edge: counted, logged, tried again
                expected = isinstance(error, RowlockError)
                if self._state.errors.get(self.name) != str(error):
                    log.warning(
                        "duty_failed", extra={"duty": self.name, "why": str(error)}, exc_info=not expected
                    )
                self._state.errors[self.name] = str(error)
                self._state.failing.met(self.name, error)
                self._on_error(self.name)
                wait, pause = backoff * random.uniform(0.8, 1.2), self._stop.wait
                # Who waited for a lock has paused already, and is to be there soon after it is released.
                waited = isinstance(error, GiveUp) and error.reason == TABLE_LOCKED.name
                backoff = min(_AFTER_A_LOCK_SECONDS if waited else _LONGEST_BACKOFF_SECONDS, backoff * 2)
            self._state.busy_since.pop(self.name, None)
            if wait > 0:
                pause(wait)

    def stop(self) -> None:
        """Asks the thread to end after the call it is in."""
        self._stop.set()

    def join(self, seconds: float = 10.0) -> None:
        if self._thread is not None:
            self._thread.join(seconds)
