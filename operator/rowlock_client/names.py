"""Queues and sources by the names people type."""

from rowlock_client.connection import Cursor
from rowlock_client.errors import Ambiguous, NotFound
from rowlock_client.queries import fetch_column, may_read_tables


def find_queue(cursor: Cursor, name: str, *, namespace: str | None = None) -> str:
    """The full name, namespace/name; the namespace may be left out where that is unique, or the given one has
    such a queue.

    Raises NotFound with the known ones, Ambiguous with the namespaces.
    """
    readable = may_read_tables(cursor)
    if not readable and "/" in name:
        return name  # this login sees only queues that have a run; enqueue_v1 knows all and lists them
    known = fetch_column(cursor, "queues" if readable else "queues_seen")
    return _among(known, name, namespace, what="queue", kind="WorkQueue")


def find_source(cursor: Cursor, name: str, *, namespace: str | None = None) -> str:
    """The full name of a RowSource that the ledger knows, also of one that is gone. Raises
    NotFound with the known ones, Ambiguous with the namespaces or where this login cannot tell.
    """
    if not may_read_tables(cursor):
        if "/" not in name:
            raise Ambiguous(f"this login may read only the view rowlock.run: say namespace/{name}")
        return name  # the functions know all and list them
    known = fetch_column(cursor, "sources")
    return _among(known, name, namespace, what="source", kind="RowSource")


def _among(known: list[str], name: str, namespace: str | None, *, what: str, kind: str) -> str:
    if name in known:
        return name
    same = [full for full in known if full.partition("/")[2] == name]
    if len(same) == 1:
        return same[0]
    if f"{namespace}/{name}" in same:
        return f"{namespace}/{name}"
    if same:
        raise Ambiguous(f"the {what} {name} is in more than one namespace; say which: {', '.join(same)}")
    listed = ", ".join(known) if known else "none yet"
    raise NotFound(
        f"there is no {what} {name}; known: {listed}. A {kind} appears here once the operator has read it"
        " (see its condition Ready)."
    )
