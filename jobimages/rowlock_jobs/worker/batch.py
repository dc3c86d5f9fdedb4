"""Runs that were started together and go to the child together. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from rowlock_jobs.fence.values import StartedRun
from rowlock_jobs.outcome import Outcome
from rowlock_jobs.worker.execute import CommittedByTask


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The attempt ended without an outcome of ours: the ledger retries it as class infra."""

    reason: str


Ended = Outcome | CommittedByTask | Abandoned


class Batch:
    """The first of `open` is the one that runs, or the next; `ended` and `unbegun` are for the caller to take
    away.
    """

    def __init__(self, runs: Sequence[StartedRun]) -> None:
        self.open = deque(runs)
        self.ended: list[tuple[StartedRun, Ended, float]] = []
        self.unbegun: list[StartedRun] = []
        self.leaving = (
            False  # the child was asked to leave the unbegun ones and has not said yet that it does
        )
        self.answered = 0
        self.seconds = 0.0  # at work, all that ended

    def end(self, ended: Ended, seconds: float) -> None:
        """What became of the run at work, and how long it took."""
        self.answered += 1
        self.ended.append((self.open.popleft(), ended, seconds))
        self.seconds += seconds

    @property
    def mean_seconds(self) -> float:
        """A run; infinite where none ended."""
        return self.seconds / self.answered if self.answered else float("inf")

    def end_all(self, ended: Ended, seconds: float) -> None:
        while self.open:
            self.end(ended, seconds)

    def keep(self, count: int) -> None:
        """All but the first `count` open runs will not be begun."""
        count = max(0, count)
        self.unbegun += list(self.open)[count:]
        while len(self.open) > count:
            self.open.pop()
