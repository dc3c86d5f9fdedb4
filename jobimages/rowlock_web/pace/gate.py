"""The one way out to a site: its turn in the pace that all pods share, and the word that whoever sends may
still send.
"""

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from rowlock_jobs.errors import RowlockError
from rowlock_jobs.task import SiteError

LONGEST_WAIT_SECONDS = 120.0
SLICE_SECONDS = 0.5  # a stop is seen this late, whatever a request waits for


class Stopped(RowlockError):
    """Nothing may be sent any more; `reason` says why in CamelCase, as the `PaceStore` said it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"nothing may be sent any more: {reason}")
        self.reason = reason


class Turn(NamedTuple):
    """When a request may leave."""

    wait_seconds: float
    refused: str | None
    """Why nothing may be sent any more; None = it may."""


class PaceStore(Protocol):
    """Where the turns of one site and one login are kept, for all pods. Made by a domain, which decides what
    is asked for: a process, a schedule, a person.
    """

    def reserve(self, *, interval_seconds: float, longest_seconds: float) -> Turn:
        """The next free turn, taken where it comes within `longest_seconds`."""

    def still(self) -> Turn:
        """Whether somebody has told everybody to wait meanwhile (`wait_seconds` from now), or to stop."""

    def hold(self, seconds: float) -> None:
        """Everybody waits so long."""


class SiteGate:
    """Of one use of a login, or of a site without logins: what a Fetcher asks before each request."""

    def __init__(
        self,
        store: PaceStore,
        *,
        site: str,
        requests_per_second: float,
        check: Callable[[], object],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`site` is named in errors. `check` raises where the run itself was canceled."""
        self._store, self._site, self._check, self._sleep = store, site, check, sleep
        self._interval_seconds = 1.0 / max(requests_per_second, 0.001)

    def acquire(self) -> None:
        """Before each request. Raises Stopped, what `check` raises, SiteError Busy (more wait than two
        minutes hold).
        """
        self._check()
        wait = self._reserve()
        while wait > 0:
            self._sleep(min(wait, SLICE_SECONDS))
            self._check()
            wait -= SLICE_SECONDS
            # We may have been stopped while we waited, or somebody told to wait (429): then everybody needs
            # another turn, or all come at once.
            if _allowed(self._store.still()) > max(wait, 0):
                wait = self._reserve()

    def hold(self, seconds: float) -> None:
        """The site said 429: everybody waits."""
        self._store.hold(seconds)

    def _reserve(self) -> float:
        turn = self._store.reserve(
            interval_seconds=self._interval_seconds, longest_seconds=LONGEST_WAIT_SECONDS
        )
        wait = _allowed(turn)
        if wait > LONGEST_WAIT_SECONDS:
            raise SiteError(
                "Busy",
                f"the pace of {self._site} lets the next request go in {wait:.0f} s",
                after_seconds=wait,
            )
        return wait


def _allowed(turn: Turn) -> float:
    """Seconds to wait. Raises Stopped."""
    if turn.refused is not None:
        raise Stopped(turn.refused)
    return turn.wait_seconds
