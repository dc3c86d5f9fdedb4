"""What the duties of one database share: the registered queues and sources, guarded by one lock, and the latest figures for statuses and metrics."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from rowlock_operator.rows.ledger import Depth, Ended
from rowlock_operator.rows.source import Source


@dataclass(frozen=True)
class QueueEntry:
    """A work queue as the duties need it."""

    queue_id: int
    name: str  # namespace/name
    jobs_mode: bool
    suspended: bool
    hard_seconds: int
    parallelism: int = 10
    starting_deadline_seconds: int = 300


@dataclass
class SourceEntry:
    """A registered source and what is known of it; written by the feeder and the scribe only."""

    source: Source
    suspended: bool
    waiting_in_ledger: int = 0
    pending: int | None = None  # in the user's table, capped
    error: str | None = None
    error_reason: str | None = None
    done: int = 0
    failed: int = 0
    running: int = 0
    throttled: int = 0


@dataclass
class SharedState:
    """Registrations come from the reconcilers' thread, figures go to it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    queues: dict[int, QueueEntry] = field(default_factory=dict)
    sources: dict[str, SourceEntry] = field(default_factory=dict)
    depths: dict[int, Depth] = field(default_factory=dict)
    depths_at: float = 0.0  # monotonic; 0 = never
    failures: dict[int, int] = field(default_factory=dict)
    ended: deque[Ended] = field(default_factory=lambda: deque(maxlen=10_000))  # since somebody last took them out
    errors: dict[str, str] = field(default_factory=dict)  # duty -> last error, absent while it works

    def queue_entries(self) -> list[QueueEntry]:
        with self.lock:
            return list(self.queues.values())

    def source_entries(self) -> list[SourceEntry]:
        with self.lock:
            return list(self.sources.values())

    def depth_age_seconds(self) -> float | None:
        """How old the depths are; None = never read."""
        return None if self.depths_at == 0 else time.monotonic() - self.depths_at
