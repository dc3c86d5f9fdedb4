"""Gathers what `explain` and `explain_queue` need, from one snapshot."""

from rowlock_cli.connection import Cursor, sql
from rowlock_cli.errors import Failed
from rowlock_cli.explain import COUNTED_TO, Facts, Surroundings, Waiting
from rowlock_cli.explain_queue import LATELY_SECONDS, LIMITS_SHOWN, HoldingLimit, QueueFacts
from rowlock_cli.figures import database_now, operator_seen, troubles
from rowlock_cli.runs import RunRow, find_run, list_runs, may_read_tables, rows
from rowlock_cli.session import queue_named

_ROWS_LOOKED_AT = 100


def gather(cur: Cursor, beginning: str) -> Facts:
    """Facts about the run whose id begins so. Failed where there is none."""
    cur.execute(sql("snapshot"))
    return _about(cur, find_run(cur, beginning))


def gather_row(cur: Cursor, source: str, key: str) -> Facts:
    """Facts about the newest run of a row. Failed where there is none, or where the source's name is not
    unique.
    """
    cur.execute(sql("snapshot"))
    found = list_runs(cur, limit=_ROWS_LOOKED_AT, source=source, key=key)
    names = sorted({run.source for run in found if run.source})
    if len(names) > 1:
        raise Failed(f"the source {source} is in more than one namespace; say which: {', '.join(names)}")
    if not found:
        marks = ""
        if may_read_tables(cur):
            cur.execute(sql("marks_of_source"), {"source": source})
            marks = " ".join(f"; {sentence}" for (sentence,) in cur.fetchall())
        raise Failed(
            f"no run of the source {source} has the key {key}: its row does not fulfil spec.pending, has not"
            " been taken yet, or its run is past the queue's history. `kubectl get rowsource"
            f" {source.rpartition('/')[2]} -o wide` says whether rows are taken{marks}"
        )
    return _about(cur, found[0])


def _about(cur: Cursor, run: RunRow) -> Facts:
    now = database_now(cur)
    if not may_read_tables(cur):
        return Facts(run=run, now=now)
    cur.execute(sql("surroundings"), {"id": run.id, "queue": run.queue})
    around = [Surroundings(**row) for row in rows(cur)]
    waiting = []
    if run.state == "pending":
        cur.execute(sql("waiting"), {"id": run.id, "most": COUNTED_TO})
        waiting = [Waiting(**row) for row in rows(cur)]
    return Facts(
        run=run, now=now, surroundings=around[0] if around else None, waiting=waiting[0] if waiting else None
    )


def gather_queue(cur: Cursor, name: str) -> QueueFacts:
    """Facts about a queue. Failed where there is none, or where the login may read only the view."""
    cur.execute(sql("snapshot"))
    if not may_read_tables(cur):
        raise Failed(
            "this login may read only the view rowlock.run, which does not tell why a queue moves; use the"
            " operator's login, or `rowlock runs --queue` to see its runs"
        )
    full = queue_named(cur, name)
    now = database_now(cur)
    cur.execute(sql("queue_facts"), {"queue": full, "window": LATELY_SECONDS})
    (found,) = rows(cur)
    cur.execute(sql("queue_limits"), {"queue": full, "limit": LIMITS_SHOWN})
    limits = tuple(HoldingLimit(**row) for row in rows(cur))
    visible, seconds = operator_seen(cur)
    told = tuple(message for _, message, _ in troubles(cur))
    return QueueFacts(
        **found, troubles=told, now=now, operator_visible=visible, operator_seconds=seconds, limits=limits
    )
