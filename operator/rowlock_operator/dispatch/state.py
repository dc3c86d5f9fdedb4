"""What the duties of one database share: the registered queues and sources, guarded by one lock, and the
latest figures for statuses and metrics.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from rowlock_operator.api import reasons
from rowlock_operator.api.reasons import Reason
from rowlock_operator.dispatch.failing import (
    LAUNCHER,
    LOCK,
    ONE_KUBE_JOB,
    STOPPING,
    WAITING_ROOM,
    Failing,
    Lasting,
)
from rowlock_operator.dispatch.marks import Marks
from rowlock_operator.dispatch.start_gates import StartGates
from rowlock_operator.errors import GiveUp, RowlockError
from rowlock_operator.observed.queues import Trouble, trouble
from rowlock_operator.rows.ledger import Depth, Ended, Interrupted
from rowlock_operator.rows.source import Source
from rowlock_operator.rows.source_table import LeftOut


def trouble_of(error: RowlockError, otherwise: Reason) -> Trouble:
    """An error as a condition says it: by its own reason, or by `otherwise` where repeating may help."""
    if isinstance(error, GiveUp):
        return Trouble(reason=error.reason, message=str(error))
    return trouble(otherwise, why=error)


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A work queue as the duties need it."""

    queue_id: int
    name: str  # namespace/name
    jobs_mode: bool
    suspended: bool
    hard_seconds: int
    parallelism: int = 10
    starting_deadline_seconds: int = 300


@dataclass(slots=True)
class Turn:
    """When one duty deals with one source again, and with how much patience; kept of those that were in
    trouble.
    """

    tier: int = 0  # 0 = in passing
    due: float = 0.0
    took: float = 0.0  # seconds, the last time
    failures: int = 0  # in a row
    quick: int = 0  # turns in a row that the tier below had had the patience for
    relapses: int = 0
    returned: float = -1e9  # to the tier below


@dataclass(slots=True)
class SourceEntry:
    """A registered source and what is known of it; written by the duties only."""

    source: Source
    suspended: bool
    turns: dict[str, Turn] = field(default_factory=dict)  # by duty
    waiting_in_ledger: int = 0
    pending: int | None = None  # in the user's table, capped; None = not counted yet
    idle: bool = False  # the last look found no pending row: nothing to count
    # by the duty that met it; each takes back its own
    troubles: dict[str, Trouble] = field(default_factory=dict)
    left_out: LeftOut = LeftOut()
    left_out_at: float = -1e9
    # key of a row that the database refuses -> why, as of the last whole look
    refused: dict[str, str] = field(default_factory=dict)
    done: int | None = None
    failed: int | None = None
    left_alone: int | None = None  # rows whose outcome was not written, since they said something else
    running: int = 0
    throttled: int = 0
    marks: Marks = Marks()  # rows that carry our mark and have no run

    @property
    def counted(self) -> bool:
        """Whether its figures are known at all."""
        return self.pending is not None and self.done is not None

    @property
    def trouble(self) -> Trouble | None:
        return next(iter(list(self.troubles.values())), None)

    @property
    def error(self) -> str | None:
        return self.trouble.message if self.trouble else None

    def turn(self, duty: str) -> Turn:
        return self.turns.setdefault(duty, Turn())

    def tier(self, duty: str) -> int:
        """How much patience a duty has with it."""
        turn = self.turns.get(duty)
        return turn.tier if turn else 0

    def met(self, duty: str, error: RowlockError) -> None:
        """What kept a duty from its work on this source."""
        self.troubles[duty] = trouble_of(error, reasons.DATABASE_UNREACHABLE)

    def worked(self, duty: str) -> None:
        self.troubles.pop(duty, None)


@dataclass
class SharedState:
    """Registrations come from the reconcilers' thread, figures go to it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    version: int = 0  # grows with every registration
    queues: dict[int, QueueEntry] = field(default_factory=dict)
    queue_ids: dict[str, int] = field(default_factory=dict)
    sources: dict[str, SourceEntry] = field(default_factory=dict)
    # by id: sources that nobody feeds, with something left in the ledger
    leftovers: dict[int, SourceEntry] = field(default_factory=dict)
    depths: dict[int, Depth] = field(default_factory=dict)  # of queues that have runs
    depths_unknown: dict[int, str] = field(default_factory=dict)  # queue -> why its depth cannot be read
    depths_at: float = 0.0  # monotonic; 0 = never
    starts: StartGates = field(default_factory=StartGates)
    # of queues with runs that the platform keeps from running
    interrupted: dict[int, Interrupted] = field(default_factory=dict)
    failures: dict[int, int] | None = None  # of queues that have some; None = never counted
    # since somebody last took them out
    ended: deque[Ended] = field(default_factory=lambda: deque(maxlen=10_000))
    # (queue, rows), likewise
    left_alone: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=10_000))
    redis: Trouble | None = None  # why Redis takes no claims
    errors: dict[str, str] = field(default_factory=dict)  # duty -> last error, absent while it works
    failing: Failing = field(default_factory=Failing)  # the same over time, for conditions
    # duty -> when the call it is in began, monotonic
    busy_since: dict[str, float] = field(default_factory=dict)
    round_at: float = 0.0  # when a round last got the claimer's lock, monotonic
    denied_since: float | None = None  # since when rounds do not get it; None = the last one did
    lock_held: Lasting | None = None  # somebody holds what the duties need

    def queue_entries(self) -> list[QueueEntry]:
        with self.lock:
            return list(self.queues.values())

    def source_entries(self) -> list[SourceEntry]:
        with self.lock:
            return list(self.sources.values())

    def leftover_entries(self) -> list[SourceEntry]:
        with self.lock:
            return list(self.leftovers.values())

    def left_over_trouble(self, queue_id: int) -> Trouble | None:
        """What keeps outcomes from being written to a table that a queue served once."""
        return next(
            (
                entry.trouble
                for entry in self.leftover_entries()
                if entry.source.queue_id == queue_id and entry.trouble
            ),
            None,
        )

    def queue_named(self, name: str) -> QueueEntry | None:
        with self.lock:
            return self.queues.get(self.queue_ids.get(name, -1))

    def put_queue(self, entry: QueueEntry) -> None:
        with self.lock:
            self.queues[entry.queue_id] = entry
            self.queue_ids[entry.name] = entry.queue_id
            self.version += 1

    def drop_queue(self, name: str) -> None:
        with self.lock:
            self.queues.pop(self.queue_ids.pop(name, -1), None)
            self.version += 1

    def serves(self, entry: SourceEntry) -> bool:
        """Whether this is the registration in force of its source."""
        with self.lock:
            return self.sources.get(entry.source.plan.name) is entry

    def troubles_of_starts(self, queue_id: int) -> tuple[Trouble | None, Trouble | None]:
        """(why nothing of a Jobs queue starts, which of its runs the platform keeps from running)."""
        seen = self.interrupted.get(queue_id)
        said = (
            None
            if seen is None
            else trouble(reasons.RUNS_INTERRUPTED, count=seen.count, run=seen.run, why=seen.why)
        )
        return self.starts.trouble(queue_id), said

    def stuck_seconds(self, now: float) -> float:
        """For how long a duty has been in one call, or rounds have not got their lock."""
        began = [
            *(
                at
                for duty, at in list(self.busy_since.items())
                if duty != "watch" and duty not in WAITING_ROOM
            ),  # whose statements may last
            *([self.denied_since] if self.denied_since is not None else []),
        ]
        return max((now - each for each in began), default=0.0)

    def lasting(self) -> dict[str, Lasting]:
        """What keeps duties from their work for longer than a hiccup, the strongest first."""
        found = {LOCK: self.lock_held} if self.lock_held is not None else {}
        return found | dict(
            sorted(self.failing.lasting().items(), key=lambda item: (item[0] not in STOPPING, item[0]))
        )

    def troubles_of_queue(self, *, jobs_mode: bool) -> tuple[list[Trouble], list[Trouble]]:
        """(what keeps its runs from starting, what else needs somebody)."""
        stops = (*STOPPING, LAUNCHER) if jobs_mode else STOPPING
        lasting = self.lasting()
        return (
            [each.trouble for duty, each in lasting.items() if duty in stops],
            [
                each.trouble
                for duty, each in lasting.items()
                if duty not in stops and (jobs_mode or duty not in (LAUNCHER, ONE_KUBE_JOB))
            ],
        )

    def troubles_of_source(self, entry: SourceEntry) -> tuple[list[Trouble], list[Trouble]]:
        """(what keeps its rows from being taken or started, what else concerns it)."""
        stops = (*STOPPING, *WAITING_ROOM) if entry.tier("feeder") else STOPPING
        concerns = ("figures", "scribe") if entry.source.plan.status_column else ("figures",)
        lasting = self.lasting()
        return (
            [each.trouble for duty, each in lasting.items() if duty in stops],
            [each.trouble for duty, each in lasting.items() if duty in concerns],
        )

    def depth_age_seconds(self) -> float | None:
        """How old the depths are; None = never read."""
        return None if self.depths_at == 0 else time.monotonic() - self.depths_at
