"""Runs as the view shows them, and finding one by the beginning of its id."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rowlock_cli.connection import Cursor, sql
from rowlock_cli.errors import Failed

STATES = ("pending", "queued", "launching", "running", "succeeded", "dead", "unknown", "canceled")
ENDED = ("succeeded", "dead", "unknown", "canceled")
SHORT_ID_CHARACTERS = 18
"""Ids begin with the time: the first 13 digits are the millisecond, the next three tell 4,096 runs of it
apart.
"""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One row of `rowlock.run`; the fields are the view's columns."""

    id: str
    queue: str
    task: str
    state: str
    attempt: int
    source: str | None
    source_key: str | None
    priority: int
    fairness_key: str
    due: datetime | None
    claimed_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    progress: Any
    result: Any
    failure: Any
    cancel_requested: bool
    effect: str | None
    infra_tries: int
    app_tries: int
    site_tries: int

    @property
    def short_id(self) -> str:
        return self.id[:SHORT_ID_CHARACTERS]

    def failed_with(self, key: str) -> str:
        """`class`, `reason` or `message` of the failure; empty where there is none. A failure that is no
        object is a message as a whole.
        """
        if isinstance(self.failure, Mapping):
            return str(self.failure.get(key) or "")
        return "" if self.failure is None or key != "message" else str(self.failure)


def rows(cur: Cursor) -> list[dict[str, Any]]:
    """What a statement returned, each row by column name."""
    names = [column.name for column in cur.description or ()]
    return [dict(zip(names, values, strict=True)) for values in cur.fetchall()]


def list_runs(
    cur: Cursor,
    *,
    limit: int,
    queue: str | None = None,
    states: Sequence[str] = (),
    source: str | None = None,
    task: str | None = None,
    key: str | None = None,
    since: datetime | None = None,
    bounds: tuple[str, str] | None = None,
) -> list[RunRow]:
    """The newest runs that match; `bounds` are the least and the greatest id."""
    low, high = bounds or (None, None)
    values = {
        "queue": queue,
        "states": list(states) or None,
        "source": source,
        "task": task,
        "key": key,
        "since": since,
    }
    cur.execute(sql("runs"), {**values, "low": low, "high": high, "limit": limit})
    return [RunRow(**row) for row in rows(cur)]


def id_bounds(beginning: str) -> tuple[str, str]:
    """The least and the greatest uuid that begin so; ValueError where none does. Pure."""
    digits = beginning.strip().lower().replace("-", "")
    if not re.fullmatch(r"[0-9a-f]{1,32}", digits):
        raise ValueError(
            f"{beginning!r} is not (the beginning of) a run id: ids are hexadecimal digits and dashes"
        )
    return digits.ljust(32, "0"), digits.ljust(32, "f")


def find_run(cur: Cursor, beginning: str) -> RunRow:
    """The one run whose id begins so. Failed where there is none or more than one."""
    try:
        bounds = id_bounds(beginning)
    except ValueError as error:
        raise Failed(str(error)) from error
    found = list_runs(cur, limit=6, bounds=bounds)
    if not found:
        raise Failed(
            f"no run begins with {beginning}; `rowlock runs` lists them (ended ones are kept for the queue's"
            " history)"
        )
    if len(found) > 1:
        some = ", ".join(run.id for run in found[:5])
        raise Failed(
            f"{beginning} is the beginning of more than one run: {some}{', ...' if len(found) > 5 else ''};"
            " give more of the id"
        )
    return found[0]


def may_read_tables(cur: Cursor) -> bool:
    cur.execute(sql("may_read_tables"))
    return bool(rows(cur)[0]["may"])


def find_queue(cur: Cursor, name: str, *, namespace: str | None = None) -> str:
    """The full name, namespace/name; the namespace may be left out where that is unique, or the given one has
    such a queue.

    Failed, with the known ones, otherwise.
    """
    readable = may_read_tables(cur)
    if not readable and "/" in name:
        return name  # this login sees only queues that have a run; enqueue_v1 knows all and lists them
    cur.execute(sql("queues" if readable else "queues_seen"))
    return _among([full for (full,) in cur.fetchall()], name, namespace, what="queue", kind="WorkQueue")


def find_source(cur: Cursor, name: str, *, namespace: str | None = None) -> str:
    """The full name of a RowSource that the ledger knows, also of one that is gone. Failed, with the known
    ones, otherwise.
    """
    if not may_read_tables(cur):
        if "/" not in name:
            raise Failed(f"this login may read only the view rowlock.run: say namespace/{name}")
        return name  # the functions know all and list them
    cur.execute(sql("sources"))
    return _among([full for (full,) in cur.fetchall()], name, namespace, what="source", kind="RowSource")


def _among(known: list[str], name: str, namespace: str | None, *, what: str, kind: str) -> str:
    if name in known:
        return name
    same = [full for full in known if full.partition("/")[2] == name]
    if len(same) == 1:
        return same[0]
    if f"{namespace}/{name}" in same:
        return f"{namespace}/{name}"
    if same:
        raise Failed(f"the {what} {name} is in more than one namespace; say which: {', '.join(same)}")
    listed = ", ".join(known) if known else "none yet"
    raise Failed(
        f"there is no {what} {name}; known: {listed}. A {kind} appears here once the operator has read it"
        " (see its condition Ready)."
    )
