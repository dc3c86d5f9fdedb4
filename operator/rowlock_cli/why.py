"""Gathers what `explain` needs, from one snapshot."""

from rowlock_cli.connection import Cursor, sql
from rowlock_cli.explain import COUNTED_TO, Facts, Surroundings, Waiting
from rowlock_cli.runs import find_run, may_read_tables, rows


def gather(cur: Cursor, beginning: str) -> Facts:
    """Facts about the run whose id begins so. Failed where there is none."""
    cur.execute(sql("snapshot"))
    run = find_run(cur, beginning)
    cur.execute(sql("now"))
    now = rows(cur)[0]["clock_timestamp"]
    if not may_read_tables(cur):
        return Facts(run=run, now=now)
    cur.execute(sql("surroundings"), {"id": run.id, "queue": run.queue})
    around = [Surroundings(**row) for row in rows(cur)]
    waiting = []
    if run.state == "pending":
        cur.execute(sql("waiting"), {"id": run.id, "most": COUNTED_TO})
        waiting = [Waiting(**row) for row in rows(cur)]
    return Facts(run=run, now=now, surroundings=around[0] if around else None, waiting=waiting[0] if waiting else None)
