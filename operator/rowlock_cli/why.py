"""Gathers what `explain` and `explain_queue` need, from one snapshot."""

from rowlock_cli.connection import Cursor, sql
from rowlock_cli.errors import Failed
from rowlock_cli.explain import COUNTED_TO, Facts, Surroundings, Waiting
from rowlock_cli.explain_queue import LATELY_SECONDS, LIMITS_SHOWN, HoldingLimit, QueueFacts
from rowlock_cli.figures import database_now, operator_seen
from rowlock_cli.runs import find_run, may_read_tables, rows
from rowlock_cli.session import queue_named


def gather(cur: Cursor, beginning: str) -> Facts:
    """Facts about the run whose id begins so. Failed where there is none."""
    cur.execute(sql("snapshot"))
    run = find_run(cur, beginning)
    now = database_now(cur)
    if not may_read_tables(cur):
        return Facts(run=run, now=now)
    cur.execute(sql("surroundings"), {"id": run.id, "queue": run.queue})
    around = [Surroundings(**row) for row in rows(cur)]
    waiting = []
    if run.state == "pending":
        cur.execute(sql("waiting"), {"id": run.id, "most": COUNTED_TO})
        waiting = [Waiting(**row) for row in rows(cur)]
    return Facts(run=run, now=now, surroundings=around[0] if around else None, waiting=waiting[0] if waiting else None)


def gather_queue(cur: Cursor, name: str) -> QueueFacts:
    """Facts about a queue. Failed where there is none, or where the login may read only the view."""
    cur.execute(sql("snapshot"))
    if not may_read_tables(cur):
        raise Failed(
            "this login may read only the view rowlock.run, which does not tell why a queue moves; use the operator's login, "
            "or `rowlock runs --queue` to see its runs"
        )
    full = queue_named(cur, name)
    now = database_now(cur)
    cur.execute(sql("queue_facts"), {"queue": full, "window": LATELY_SECONDS})
    (found,) = rows(cur)
    cur.execute(sql("queue_limits"), {"queue": full, "limit": LIMITS_SHOWN})
    limits = tuple(HoldingLimit(**row) for row in rows(cur))
    visible, seconds = operator_seen(cur)
    return QueueFacts(**found, now=now, operator_visible=visible, operator_seconds=seconds, limits=limits)
