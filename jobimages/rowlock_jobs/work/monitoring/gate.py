"""The one way out to a site: its turn in the pace that all pods share, and the word that the process still
runs.
"""

import time
from typing import Protocol

from rowlock_jobs.errors import RowlockError
from rowlock_jobs.task import Run, SiteError
from rowlock_jobs.work.monitoring.store import ask

LONGEST_WAIT_SECONDS = 120.0
SLICE_SECONDS = 0.5  # a stop is seen this late, whatever a request waits for


class ProcessStopped(RowlockError):
    """Nothing may be sent any more; `reason` is NotRunning, DurationReached or Deleted."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the process does not run any more: {reason}")
        self.reason = reason


class Sleep(Protocol):
    def __call__(self, seconds: float, /) -> None: ...


class SiteGate:
    """Of one use of a login. `process_id` None: a comment approved by hand, which needs no running
    process.
    """

    def __init__(
        self,
        run: Run,
        *,
        process_id: str | None,
        site: str,
        login_id: str,
        requests_per_second: float,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._run, self._process_id, self._site, self._login_id = run, process_id, site, login_id
        self._interval, self._sleep = 1.0 / max(requests_per_second, 0.001), sleep

    def pass_(self) -> None:
        """Before each request. Raises ProcessStopped, Canceled, SiteError Busy (more waits than two minutes
        hold).
        """
        self._run.check()
        wait = self._reserve()
        while wait > 0:
            self._sleep(min(wait, SLICE_SECONDS))
            self._run.check()
            wait -= SLICE_SECONDS
            # The process may have been stopped while we waited, or somebody told to wait (429): then
            # everybody needs another turn, or all come at once.
            if self._ask("still") > max(wait, 0):
                wait = self._reserve()

    def _reserve(self) -> float:
        wait = self._ask(
            "gate", site_interval=self._interval, login_interval=0.0, longest=LONGEST_WAIT_SECONDS
        )
        if wait > LONGEST_WAIT_SECONDS:
            raise SiteError(
                "Busy",
                f"the pace of {self._site} lets the next request go in {wait:.0f} s",
                after_seconds=wait,
            )
        return wait

    def hold(self, seconds: float) -> None:
        """The site said 429: everybody waits."""
        ask(self._run, "hold", site=self._site, login_id=self._login_id, seconds=seconds)

    def _ask(self, name: str, **more: float) -> float:
        ((wait, refused),) = ask(
            self._run, name, process_id=self._process_id, site=self._site, login_id=self._login_id, **more
        )
        if refused is not None:
            raise ProcessStopped(refused)
        return float(wait)
