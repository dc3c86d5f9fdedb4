"""Counts and versions, read from the ledger."""

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from rowlock_cli.connection import Cursor, sql
from rowlock_cli.runs import may_read_tables, rows
from rowlock_ledger.install import LEDGER

RATE_SECONDS = 10.0
"""Rates are what ended in this window: right from the first look on, whatever the pace of looking."""


@dataclass(frozen=True, kw_only=True)
class QueueFigures:
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
class SourceFigures:
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


def database_now(cur: Cursor) -> datetime:
    """The database's clock: ages and due times are told by it."""
    cur.execute(sql("now"))
    moment: datetime = rows(cur)[0]["clock_timestamp"]
    return moment


def versions(cur: Cursor) -> Versions:
    cur.execute(sql("versions"))
    (found,) = rows(cur)
    readable = found.pop("may_read_migrations")
    applied = None
    if readable:
        cur.execute(sql("migrations"))
        applied = tuple(name for (name,) in cur.fetchall())
    return Versions(
        command=version("rowlock"),
        applied=applied,
        expected=LEDGER.versions,
        missing=tuple(LEDGER.missing(applied or ())),
        newer=tuple(LEDGER.unknown(applied or ())),
        **found,
    )


def queue_figures(
    cur: Cursor, *, queue: str | None = None, readable: bool | None = None
) -> list[QueueFigures]:
    """Every queue, or one; a login that sees only the view sees only queues that have a run."""
    seen = may_read_tables(cur) if readable is None else readable
    cur.execute(
        sql("queue_figures" if seen else "queue_figures_of_view"), {"queue": queue, "window": RATE_SECONDS}
    )
    return [QueueFigures(**row) for row in rows(cur)]


def troubles(cur: Cursor) -> list[tuple[str, str, float]]:
    """(duty, what keeps it from its work, for how many seconds), as the operators say it."""
    cur.execute(sql("troubles"))
    return [(row["duty"], row["message"], row["seconds"]) for row in rows(cur)]


def queues_gone(cur: Cursor) -> dict[str, bool]:
    """Queues without a WorkQueue -> whether they never had one; none where the login may read only the
    view.
    """
    if not may_read_tables(cur):
        return {}
    cur.execute(sql("queues_gone"))
    return dict(cur.fetchall())


def source_figures(cur: Cursor) -> list[SourceFigures]:
    cur.execute(sql("source_figures"))
    return [SourceFigures(**row) for row in rows(cur)]


def runners(cur: Cursor) -> tuple[int, float]:
    """How many workers hold a lease; for how many seconds the longest lapsed one was not swept."""
    cur.execute(sql("runners"))
    (found,) = rows(cur)
    return int(found["alive"]), float(found["lapsed_seconds"])


def operator_seen(cur: Cursor) -> tuple[bool, float | None]:
    """Whether this login would see the operator's sessions, and how many seconds ago the operator last
    spoke.
    """
    cur.execute(sql("operator_seen"))
    found: dict[str, Any] = rows(cur)[0]
    return bool(found["visible"]), found["seconds"]
