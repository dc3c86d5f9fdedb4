"""Takes back what nobody will return: runs of lapsed runners, claims that Redis lost, runs whose row is gone;
and mends sleeping lanes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rowlock_operator.dispatch.intervals import Intervals
from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.dispatch.tables import TableDuty, WaitingRoom
from rowlock_operator.errors import RetryLater
from rowlock_operator.rows.ledger import Ledger, StaleClaim
from rowlock_operator.transport.redis_queues import RedisQueues

DUTY = "sweeper"


@dataclass(frozen=True)
class SweeperSettings:
    """Each scan reads a page at a time, for a share of the time, and the next pass goes on where it ended."""

    every_seconds: float = 1.0
    share: float = 0.1  # of the time, for each scan
    slow_seconds: float = 20.0  # starts that raced with a sweep
    stale_seconds: float = 5.0  # a claim this old that has not started is asked for in Redis
    relane_seconds: float = 5.0
    vanished_seconds: float = 1.0
    misfits_seconds: float = 2.0
    page: int = 1000
    # after the database was away: healthy runners could not renew either, and must get the chance to
    grace_seconds: float = 12.0


@dataclass(frozen=True)
class Swept:
    lapsed: int
    lost: int
    vanished: int
    mended: int
    misfits: int


class Sweeper:
    """`kube_jobs`: whether a launcher follows kube jobs, and takes back claims that should have one."""

    def __init__(
        self,
        state: SharedState,
        ledger: Ledger,
        redis: Callable[[], RedisQueues],
        settings: SweeperSettings,
        room: WaitingRoom,
        *,
        kube_jobs: bool = False,
    ) -> None:
        self._kube_jobs = kube_jobs
        self._state, self._ledger, self._redis, self._settings = state, ledger, redis, settings
        self._tables = TableDuty(DUTY, self._look_for_rows, room, share=settings.share)
        self._after_claim: StaleClaim | None = None  # where the scan of the claims ended; None = at their end
        self._after_key: dict[int, str] = {}  # source -> likewise, of its waiting runs
        self._vanished_after = ""  # source -> the last one that was looked at
        self._canceled = 0
        self._intervals = Intervals()
        self._grace_until = 0.0
        self._away = False
        self.totals = {"lapsed": 0, "lost": 0, "vanished": 0, "mended": 0, "misfits": 0}

    def sweep(self) -> Swept:
        """One sweep; returns what it took back."""
        settings = self._settings
        lapsed = self._lapsed()
        mended = self._ledger.relane() if self._intervals.due("relane", settings.relane_seconds) else 0
        vanished = self._vanished() if self._intervals.due("vanished", settings.vanished_seconds) else 0
        misfits = self._misfits() if self._intervals.due("misfits", settings.misfits_seconds) else 0
        swept = Swept(lapsed, self._lost(), vanished, mended, misfits)
        for name, n in vars(swept).items():
            self.totals[name] += n
        return swept

    def run_once(self) -> float:
        self.sweep()
        return self._settings.every_seconds

    def _lapsed(self) -> int:
        """Runs of lapsed runners; none for a while after the database was away."""
        try:
            if self._away:
                self._ledger.ping()
                self._away, self._grace_until = False, time.monotonic() + self._settings.grace_seconds
            if time.monotonic() < self._grace_until:
                return 0
            return self._ledger.sweep(slow=self._intervals.due("slow", self._settings.slow_seconds))
        except RetryLater:
            self._away = True
            raise

    def _lost(self) -> int:
        """Claims that Redis lost, put back. However many are rightly in Redis, of queues without workers:
        each has its turn.
        """
        until, n = self._until(), 0
        while True:
            page = self._ledger.stale_claims(
                seconds=self._settings.stale_seconds, after=self._after_claim, n=self._settings.page
            )
            n += self._unqueue_lost(page)
            self._after_claim = page[-1] if len(page) >= self._settings.page else None
            if self._after_claim is None or time.monotonic() > until:
                return n

    def _unqueue_lost(self, page: list[StaleClaim]) -> int:
        names = {q.queue_id: q.name for q in self._state.queue_entries() if not q.jobs_mode}
        by_queue: dict[str, list[StaleClaim]] = {}
        for claim in page:
            # What is to be launched is the launcher's, also where its queue is one of mode Workers by now: a
            # kube job may run it.
            if claim.queue_id in names and claim.state == "queued":
                by_queue.setdefault(names[claim.queue_id], []).append(claim)
        back: list[tuple[str, int]] = []
        for queue, claims in by_queue.items():
            lost = self._redis().lost(queue, [f"{c.run_id}-{c.attempt}" for c in claims])
            back += [(c.run_id, c.attempt) for c in claims if f"{c.run_id}-{c.attempt}" in lost]
        return self._ledger.unqueue(back)

    def _misfits(self) -> int:
        """Claims whose WorkQueue was made anew in another mode, or is gone; and runs whose RowSource has
        another WorkQueue than the gone one.
        """
        return self._ledger.misfits(launching=not self._kube_jobs) + self._ledger.rehome()

    def _vanished(self) -> int:
        """A row that its application deleted while it waited must not be run."""
        until, self._canceled = self._until(), 0
        entries = sorted(self._state.source_entries(), key=lambda entry: entry.source.plan.name)
        at = next((i for i, entry in enumerate(entries) if entry.source.plan.name > self._vanished_after), 0)
        turn = entries[at:] + entries[:at]
        while turn and time.monotonic() < until:
            unfinished = []
            for entry in turn:
                self._vanished_after = entry.source.plan.name
                if not entry.waiting_in_ledger:  # as of the last figures
                    entry.worked(DUTY)
                elif (
                    self._tables.due(entry)
                    and self._tables.visit(entry)
                    and entry.source.source_id in self._after_key
                ):
                    unfinished.append(entry)
                if time.monotonic() > until:
                    break
            turn = [entry for entry in unfinished if not entry.tier(DUTY)]
        return self._canceled

    def _look_for_rows(self, entry: SourceEntry) -> None:
        """One page of a source's waiting runs."""
        id_ = entry.source.source_id
        gone, last = entry.source.vanished(self._settings.page, self._after_key.pop(id_, None))
        self._canceled += self._ledger.cancel(gone, "SourceRowDeleted")
        if last is not None:
            self._after_key[id_] = last

    def _until(self) -> float:
        return time.monotonic() + self._settings.share * self._settings.every_seconds
