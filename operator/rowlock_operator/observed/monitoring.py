"""What the database says of a monitoring process."""

from dataclasses import dataclass, field
from datetime import datetime

from rowlock_operator.observed.queues import Trouble


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessRow:
    """One process and the counts of its comments by status; `per_minute` over the last five minutes."""

    id: str
    status: str
    reason: str = ""
    message: str | None = None
    requested_at: datetime | None = None
    started_at: datetime | None = None
    ends_at: datetime | None = None
    stopped_at: datetime | None = None
    next_discovery_at: datetime | None = None
    last_activity_at: datetime | None = None
    articles: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    approved: int = 0
    active: int = 0
    per_minute: float = 0.0
    last_error: str | None = None
    needs_reauth: tuple[str, ...] = ()

    @property
    def alive(self) -> bool:
        """Runs, or was asked to."""
        return self.status == "running" or self.requested_at is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessObservation:
    """One look at a MonitoringProcess; `row` None: the database has not told yet."""

    now: datetime
    row: ProcessRow | None = None
    troubles: tuple[Trouble, ...] = ()
    acted_on_state: str | None = None  # spec.state and spec.startRequest, where this look has acted on them
    acted_on_request: str | None = None
