"""Gathers what the sentences need, each time from one snapshot."""

from rowlock_client.connection import Cursor
from rowlock_client.errors import Ambiguous, NotAllowed, NotFound
from rowlock_client.explain.run import COUNTED_TO, RunFacts, Surroundings, Waiting
from rowlock_client.explain.work_queue import LATELY_SECONDS, LIMITS_SHOWN, HoldingLimit, QueueFacts
from rowlock_client.names import find_queue
from rowlock_client.queries import database_now, fetch, fetch_column, may_read_tables, use_snapshot
from rowlock_client.runs import RunRow, find_run, list_runs
from rowlock_client.stats import duty_problems, operator_seen

_ROWS_LOOKED_AT = 100


def run_facts(cursor: Cursor, beginning: str) -> RunFacts:
    """About the run whose id begins so. To be called first in a transaction, which then reads one moment.
    Raises NotFound, Ambiguous.
    """
    use_snapshot(cursor)
    return _about(cursor, find_run(cursor, beginning))


def row_facts(cursor: Cursor, source: str, key: str) -> RunFacts:
    """About the newest run of a row. source: a RowSource, with or without its namespace. To be called first
    in a transaction. Raises NotFound where the row has no run, Ambiguous where the source's name is not
    unique.
    """
    use_snapshot(cursor)
    found = list_runs(cursor, limit=_ROWS_LOOKED_AT, source=source, key=key)
    names = sorted({run.source for run in found if run.source})
    if len(names) > 1:
        raise Ambiguous(f"the source {source} is in more than one namespace; say which: {', '.join(names)}")
    if not found:
        marks = ""
        if may_read_tables(cursor):
            marks = " ".join(f"; {text}" for text in fetch_column(cursor, "marks_of_source", source=source))
        raise NotFound(
            f"no run of the source {source} has the key {key}: its row does not fulfil spec.pending, has not"
            " been taken yet, or its run is past the queue's history. `kubectl get rowsource"
            f" {source.rpartition('/')[2]} -o wide` says whether rows are taken{marks}"
        )
    return _about(cursor, found[0])


def _about(cursor: Cursor, run: RunRow) -> RunFacts:
    now = database_now(cursor)
    if not may_read_tables(cursor):
        return RunFacts(run=run, now=now)
    around = [Surroundings(**row) for row in fetch(cursor, "surroundings", id=run.id, queue=run.queue)]
    waiting = []
    if run.state == "pending":
        waiting = [Waiting(**row) for row in fetch(cursor, "waiting", id=run.id, most=COUNTED_TO)]
    return RunFacts(
        run=run, now=now, surroundings=around[0] if around else None, waiting=waiting[0] if waiting else None
    )


def queue_facts(cursor: Cursor, name: str, *, namespace: str | None = None) -> QueueFacts:
    """About a queue; `namespace` decides where its name alone is not unique. To be called first in a
    transaction. Raises NotFound, Ambiguous, and NotAllowed where the login may read only the view.
    """
    use_snapshot(cursor)
    if not may_read_tables(cursor):
        raise NotAllowed(
            "this login may read only the view rowlock.run, which does not tell why a queue moves; use the"
            " operator's login, or `rowlock runs --queue` to see its runs"
        )
    full = find_queue(cursor, name, namespace=namespace)
    now = database_now(cursor)
    (found,) = fetch(cursor, "queue_facts", queue=full, window=LATELY_SECONDS)
    limits = tuple(
        HoldingLimit(**row) for row in fetch(cursor, "queue_limits", queue=full, limit=LIMITS_SHOWN)
    )
    visible, seconds = operator_seen(cursor)
    told = tuple(message for _, message, _ in duty_problems(cursor))
    return QueueFacts(
        **found, troubles=told, now=now, operator_visible=visible, operator_seconds=seconds, limits=limits
    )
