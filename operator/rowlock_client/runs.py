"""Runs as the view shows them, and finding one by the beginning of its id."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rowlock_client.connection import Cursor
from rowlock_client.errors import Ambiguous, NotFound
from rowlock_client.queries import fetch

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


def list_runs(
    cursor: Cursor,
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
    """The newest runs that match, at most `limit` of them.

    queue: its full name, namespace/name. source: a RowSource, with or without its namespace. key: a row's
    key, or the one given to enqueue. since: made then or later. bounds: the least and the greatest id.
    """
    low, high = bounds or (None, None)
    values = {
        "queue": queue,
        "states": list(states) or None,
        "source": source,
        "task": task,
        "key": key,
        "since": since,
    }
    return [RunRow(**row) for row in fetch(cursor, "runs", **values, low=low, high=high, limit=limit)]


def id_bounds(beginning: str) -> tuple[str, str]:
    """The least and the greatest uuid that begin so; ValueError where none does. Pure."""
    digits = beginning.strip().lower().replace("-", "")
    if not re.fullmatch(r"[0-9a-f]{1,32}", digits):
        raise ValueError(
            f"{beginning!r} is not (the beginning of) a run id: ids are hexadecimal digits and dashes"
        )
    return digits.ljust(32, "0"), digits.ljust(32, "f")


def find_run(cursor: Cursor, beginning: str) -> RunRow:
    """The one run whose id begins so. Raises NotFound, Ambiguous."""
    try:
        bounds = id_bounds(beginning)
    except ValueError as error:
        raise NotFound(str(error)) from error
    found = list_runs(cursor, limit=6, bounds=bounds)
    if not found:
        raise NotFound(
            f"no run begins with {beginning}; `rowlock runs` lists them (ended ones are kept for the queue's"
            " history)"
        )
    if len(found) > 1:
        some = ", ".join(run.id for run in found[:5])
        raise Ambiguous(
            f"{beginning} is the beginning of more than one run: {some}{', ...' if len(found) > 5 else ''};"
            " give more of the id"
        )
    return found[0]


def first_id_since(moment: datetime) -> str:
    """The least id of a run made then or later. Ids begin with the millisecond; one second of margin for ids
    made before their row. Pure.
    """
    milliseconds = max(0, int((moment.timestamp() - 1) * 1000))
    return f"{milliseconds:012x}".ljust(32, "0")
