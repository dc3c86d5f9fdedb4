"""The statements of sql/, and reading what they return by name."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rowlock_ledger.statements import load_statements

if TYPE_CHECKING:
    from rowlock_client.connection import Cursor

SQL = load_statements(
    "rowlock_client",
    *(
        f"sql/{subject}.sql"
        for subject in ("connection", "runs", "stats", "health", "explain", "operations", "monitoring")
    ),
)


def fetch(cursor: Cursor, statement: str, **values: Any) -> list[dict[str, Any]]:
    """Runs a statement of sql/ by its name; each row as column -> value."""
    cursor.execute(SQL[statement], values or None)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def fetch_column(cursor: Cursor, statement: str, **values: Any) -> list[Any]:
    """The first column of each row."""
    cursor.execute(SQL[statement], values or None)
    return [row[0] for row in cursor.fetchall()]


def fetch_value(cursor: Cursor, statement: str, **values: Any) -> Any:
    """The first column of the first row; None where there is none."""
    return next(iter(fetch_column(cursor, statement, **values)), None)


def use_snapshot(cursor: Cursor) -> None:
    """The rest of the transaction reads one moment and writes nothing. To be said first in it."""
    cursor.execute(SQL["snapshot"])


def may_read_tables(cursor: Cursor) -> bool:
    """Whether this login sees the ledger's own tables, or only the view `rowlock.run`."""
    return bool(fetch_value(cursor, "may_read_tables"))


def database_now(cursor: Cursor) -> datetime:
    """The database's clock: ages and due times are told by it."""
    moment: datetime = fetch_value(cursor, "now")
    return moment
