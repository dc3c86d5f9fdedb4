"""Counts and versions, read from the ledger."""

from dataclasses import dataclass
from importlib.metadata import version

from rowlock_client.connection import Cursor
from rowlock_client.queries import fetch, fetch_column, may_read_tables
from rowlock_ledger.install import LEDGER

RATE_SECONDS = 10.0
"""Rates are what ended in this window: right from the first look on, whatever the pace of looking."""


@dataclass(frozen=True, kw_only=True)
class QueueStats:
    """`waiting` counts those a limit holds back too. None: the login may read only the view, or nothing waits
    (oldest).
    """

    queue: str
    mode: str | None
    suspended: bool | None
    waiting: int
    ready: int | None
    blocked: int | None
    claimed: int
    running: int
    oldest_seconds: float | None
    succeeded_per_second: float
    failed_per_second: float
    dead: int
    deleted: bool = False  # the WorkQueue is gone; what is left waits for one of that name


@dataclass(frozen=True, kw_only=True)
class SourceStats:
    """What the ledger took from a RowSource, within the history of its queue."""

    source: str
    queue: str | None
    source_table: str | None
    task: str | None
    waiting: int
    running: int
    done: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Versions:
    """`applied` is None where the login may not read the migrations."""

    command: str
    database: str
    login: str
    address: str | None
    postgresql: str
    applied: tuple[str, ...] | None
    expected: tuple[str, ...]
    missing: tuple[str, ...]
    """What the ledger lacks of what this command expects."""
    newer: tuple[str, ...]
    """What the ledger has that this command does not know."""


def versions(cursor: Cursor) -> Versions:
    """What is reached, as whom, and how the ledger's version compares with what this package expects."""
    (found,) = fetch(cursor, "versions")
    readable = found.pop("may_read_migrations")
    applied = tuple(fetch_column(cursor, "migrations")) if readable else None
    return Versions(
        command=version("rowlock"),
        applied=applied,
        expected=LEDGER.versions,
        missing=tuple(LEDGER.missing(applied or ())),
        newer=tuple(LEDGER.unknown(applied or ())),
        **found,
    )


def queue_stats(
    cursor: Cursor, *, queue: str | None = None, readable: bool | None = None
) -> list[QueueStats]:
    """Every queue, or the one of that full name; a login that sees only the view sees only queues that have
    a run. readable: what `may_read_tables` said, where that is known.
    """
    seen = may_read_tables(cursor) if readable is None else readable
    statement = "queue_stats" if seen else "queue_stats_of_view"
    return [QueueStats(**row) for row in fetch(cursor, statement, queue=queue, window=RATE_SECONDS)]


def duty_problems(cursor: Cursor) -> list[tuple[str, str, float]]:
    """(duty, what keeps it from its work, for how many seconds), as the operators say it."""
    return [(row["duty"], row["message"], row["seconds"]) for row in fetch(cursor, "duty_problems")]


def queues_gone(cursor: Cursor) -> dict[str, bool]:
    """Queues without a WorkQueue -> whether they never had one; none where the login may read only the
    view.
    """
    if not may_read_tables(cursor):
        return {}
    return {row["name"]: row["expected"] for row in fetch(cursor, "queues_gone")}


def source_stats(cursor: Cursor) -> list[SourceStats]:
    """Every RowSource; for logins that may read the tables."""
    return [SourceStats(**row) for row in fetch(cursor, "source_stats")]


def runners(cursor: Cursor) -> tuple[int, float]:
    """How many workers hold a lease; for how many seconds the longest lapsed one was not swept."""
    (found,) = fetch(cursor, "runners")
    return int(found["alive"]), float(found["lapsed_seconds"])


def operator_seen(cursor: Cursor) -> tuple[bool, float | None]:
    """Whether this login would see the operator's sessions, and how many seconds ago the operator last
    spoke.
    """
    (found,) = fetch(cursor, "operator_seen")
    return bool(found["visible"]), found["seconds"]
