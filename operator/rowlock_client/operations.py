"""What a person or a program does to runs, through the ledger's versioned functions.

Functions with a cursor belong to the caller's transaction, which may hold the caller's own statements, too.
Those with a client do many runs at a time in transactions of their own, a batch each: what was done stays
done where a later batch fails.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rowlock_client.connection import Client, Cursor
from rowlock_client.errors import Refused, TimedOut
from rowlock_client.queries import fetch, fetch_column, fetch_value
from rowlock_client.runs import ENDED, RunRow, find_run

_REQUEUE_BATCH, _DELETE_BATCH, _CANCEL_BATCH, _FORGET_BATCH = 500, 5_000, 500, 10_000
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Enqueued:
    """`existed`: an active run of the queue has the key; `id` is that one, and nothing was made."""

    id: str
    existed: bool


@dataclass(frozen=True, kw_only=True)
class RememberedKeys:
    """What a source without a status column remembers as taken."""

    source_table: str
    has_status_column: bool
    remembered: int


def enqueue(
    cursor: Cursor,
    queue: str,
    task: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    key: str | None = None,
    priority: int = 0,
    wait_for_queue: bool = False,
) -> Enqueued:
    """Makes a run without a row; it exists once the transaction commits.

    queue: namespace/name. arguments: what the task gets, as JSON can say it. key: at most one active run of
    the queue has it. priority: -100 to 100, higher goes first. wait_for_queue: also where no such queue is
    known yet.

    Raises Refused for an unknown queue, or where the run that had the key ended this moment: call it again
    then.
    """
    run_id = fetch_value(
        cursor,
        "enqueue",
        queue=queue,
        task=task,
        args=json.dumps(dict(arguments or {})),
        key=key,
        priority=priority,
        wait_for_queue=wait_for_queue,
    )
    if run_id is not None:
        return Enqueued(id=run_id, existed=False)
    run_id = fetch_value(cursor, "active_with_key", queue=queue, key=key)
    if run_id is None:
        raise Refused(f"the run with the key {key} in {queue} ended just now; run this again")
    return Enqueued(id=run_id, existed=True)


def wait_for_end(
    client: Client,
    run_id: str,
    *,
    timeout_seconds: float | None = None,
    each: Callable[[RunRow], None] = lambda run: None,
) -> RunRow:
    """The run once it has ended, whatever became of it. each: called with it at each look before, about five
    a second. Raises TimedOut where that takes longer than `timeout_seconds` (None: waits for ever), NotFound
    where the run is gone.
    """
    end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        with client.transaction() as cursor:
            run = find_run(cursor, run_id)
        if run.state in ENDED:
            return run
        if end is not None and time.monotonic() > end:
            raise TimedOut(
                f"{run_id} is still {run.state} after {timeout_seconds:g} s; `rowlock why {run_id}` says why",
                run.state,
            )
        each(run)
        time.sleep(_POLL_SECONDS)


def requeue(cursor: Cursor, ids: Sequence[str]) -> set[str]:
    """Runs dead, unknown and canceled runs again; the ids of those that are pending now."""
    return set(fetch_column(cursor, "requeue", ids=list(ids)))


def requeue_all_dead(client: Client, queue: str) -> tuple[int, int]:
    """All dead runs of a queue (namespace/name): how many there were, how many are pending again. The rest
    was left, since another active run has their key.
    """
    seen, done, after = 0, 0, _FIRST_ID
    while True:
        with client.transaction() as cursor:
            batch = fetch_column(cursor, "dead_ids", queue=queue, after=after, limit=_REQUEUE_BATCH)
        if not batch:
            return seen, done
        with client.transaction() as cursor:
            seen, done = seen + len(batch), done + len(requeue(cursor, batch))
        after = batch[-1]


def cancel(cursor: Cursor, run_id: str, reason: str) -> bool:
    """Ends a run: a waiting one at once, a running one within seconds. False where it has ended or was told
    to. reason: shown with the run.
    """
    return bool(fetch_value(cursor, "cancel", ids=[run_id], reason=reason))


def cancel_waiting(
    client: Client, queue: str, states: Sequence[str], *, before: datetime, reason: str
) -> int:
    """Cancels the runs of a queue in `states` (of pending, queued, launching) that were made before; how
    many.
    """
    values = {"queue": queue, "states": list(states), "before": before, "reason": reason}
    return _in_batches(client, "cancel_waiting", _CANCEL_BATCH, values)


def delete_ended(client: Client, queue: str, states: Sequence[str], *, before: datetime) -> int:
    """Deletes the runs of a queue in `states` (of dead, unknown, canceled, succeeded) that ended before, with
    their arguments and results; how many. They cannot be requeued.
    """
    values = {"queue": queue, "states": list(states), "before": before}
    return _in_batches(client, "delete_ended", _DELETE_BATCH, values)


def count_runs(cursor: Cursor, queue: str, states: Sequence[str], *, before: datetime) -> int:
    """How many runs of a queue are in `states` and were made (those that have not ended) or ended before."""
    return int(fetch_value(cursor, "count_runs", queue=queue, states=list(states), before=before))


def remembered_keys(cursor: Cursor, source: str, keys: Sequence[str] | None) -> RememberedKeys:
    """What a source (namespace/name) remembers as taken, of these keys or (None) of all. Raises Refused for a
    source that has a status column, and so remembers none.
    """
    (row,) = fetch(cursor, "remembered_keys", source=source, keys=None if keys is None else list(keys))
    found = RememberedKeys(**row)
    if found.has_status_column and not found.remembered:
        raise Refused(
            f"{source} has a status column, so it remembers no keys: to run a row of {found.source_table}"
            " again, set its status back in the table"
        )
    return found


def forget_keys(client: Client, source: str, keys: Sequence[str] | None, *, before: datetime) -> int:
    """Forgets that rows with these keys (None: with any) were taken before that moment, so that they are
    taken again where they are pending; how many were forgotten. Rows whose run is under way are left alone.
    """
    values = {"source": source, "keys": None if keys is None else list(keys), "before": before}
    return _in_batches(client, "forget_keys", _FORGET_BATCH, values)


def _in_batches(client: Client, statement: str, limit: int, values: Mapping[str, Any]) -> int:
    done = 0
    while True:
        with client.transaction() as cursor:
            count = int(fetch_value(cursor, statement, **values, limit=limit))
        done += count
        if count < limit:
            return done
