"""Which duties of one database fail, since when, and what that means: the way from a thread's error to
conditions, metric and command line.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rowlock_operator.api import reasons
from rowlock_operator.errors import RetryLater
from rowlock_operator.observed.queues import Trouble, trouble

LASTING_SECONDS = 5.0  # failures that span less than this are a hiccup, of which nobody needs to hear
QUIET_SECONDS = (
    6.0  # so long without a failure, and it is over: a duty that fails every other time has not recovered
)
LOCK = "ledger lock"  # whoever holds one is told as a duty of its own
STOPPING = (LOCK, "claimer")  # nothing new starts without them
# nor in mode Jobs without the first; the second is met by single runs
LAUNCHER, ONE_KUBE_JOB = "launcher", "kube job"
WAITING_ROOM = ("waiting room 1", "waiting room 2", "waiting room 3")  # a thread for each tier of patience
EFFECTS = {
    "claimer": "no run starts",
    LAUNCHER: "no Kubernetes Job is made or looked after",
    ONE_KUBE_JOB: "a run of a Kubernetes Job is not followed to its end",
    **dict.fromkeys(WAITING_ROOM, "tables that are locked or take long are not looked at"),
    "sweeper": "runs of lost workers are not taken back",
    "scribe": "outcomes are not written into status columns",
    "depths": "how much waits is not known",
    "figures": "the counters of RowSources stand still",
    "leftovers": "outcomes of RowSources that are gone are not written",
    "auditor": "rows that are marked as taken and have no run are not found",
    "housekeeper": "the history is not cleared up, and places for the days to come are not made",
}


@dataclass(frozen=True)
class Lasting:
    """A duty that has failed for longer than a hiccup; `since` is monotonic."""

    trouble: Trouble
    since: float


@dataclass
class _Failures:
    since: float
    last: float
    trouble: Trouble


class Failing:
    """Told by the duties from their threads; asked by everybody."""

    def __init__(
        self,
        lasting_seconds: float = LASTING_SECONDS,
        quiet_seconds: float = QUIET_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lasting, self._quiet, self._now, self._lock = (
            lasting_seconds,
            quiet_seconds,
            now,
            threading.Lock(),
        )
        self._by_duty: dict[str, _Failures] = {}

    def met(self, duty: str, error: Exception) -> None:
        """The duty failed just now."""
        now, met = self._now(), trouble_of_duty(duty, error)
        with self._lock:
            known = self._by_duty.get(duty)
            self._by_duty[duty] = _Failures(known.since if known else now, now, met)

    def worked(self, duty: str) -> None:
        """It did not fail this time."""
        known = self._by_duty.get(duty)  # nearly always None: no lock where all is well
        if known is not None and self._now() - known.last > self._quiet:
            with self._lock:
                self._by_duty.pop(duty, None)

    def any(self) -> bool:
        return bool(self._by_duty)

    def lasting(self) -> dict[str, Lasting]:
        """Those that have failed for longer than a hiccup, by duty."""
        with self._lock:
            return {
                duty: Lasting(each.trouble, each.since)
                for duty, each in self._by_duty.items()
                if each.last - each.since >= self._lasting
            }


def trouble_of_duty(duty: str, error: Exception) -> Trouble:
    """An error of a duty as a condition says it. Where repeating may help, the database's own reason."""
    if isinstance(error, RetryLater):
        return trouble(reasons.DATABASE_UNREACHABLE, why=error)
    why = str(error).rstrip(".") or type(error).__name__
    return trouble(reasons.DUTY_FAILING, duty=duty, why=why, effect=EFFECTS.get(duty, "its work is not done"))
