"""Brings a database's ledger to this version. Expand first, contract one release later: an older operator or
worker keeps working on a newer schema.
"""

import time
from importlib.resources import files

import psycopg2.errors
import psycopg2.extensions

from rowlock_ledger.statements import load_statements
from rowlock_operator.api import reasons
from rowlock_operator.errors import RowlockError
from rowlock_operator.rows.ledger import Holder
from rowlock_operator.rows.pool import Pool

_SQL = load_statements("rowlock_operator.rows", "sql/ledger_calls.sql")
_PAUSE_SECONDS = 0.3


def ledger_files() -> list[tuple[str, str]]:
    """(version, text) of every migration in order."""
    folder = files(__package__) / "sql" / "ledger"
    return sorted(
        (f.name.removesuffix(".sql"), f.read_text()) for f in folder.iterdir() if f.name.endswith(".sql")
    )


def migrate(pool: Pool, *, patience_seconds: float = 5.0) -> list[str]:
    """Applies what is missing, all or nothing, and returns the versions applied. Several operators may call
    it at once: one works, the others wait.

    It waits for other people's locks for a blink only, since all the work of the database would wait behind
    it, and tries again. Raises GiveUp (LedgerLocked) with the name of whoever holds what it needs for longer
    than its patience, RetryLater where the database is away.
    """
    until = time.monotonic() + patience_seconds
    while True:
        try:
            return _migrate(pool)
        except RowlockError as error:
            if not isinstance(
                error.__cause__, psycopg2.errors.LockNotAvailable | psycopg2.errors.DeadlockDetected
            ):
                raise
            if time.monotonic() >= until:
                holder = next(
                    (
                        Holder(*row)
                        for row in pool.rows("looking for who holds the ledger", _SQL["table_holders"])
                    ),
                    None,
                )
                if holder is None:
                    raise
                remedy = f"select pg_terminate_backend({holder.pid})"
                raise reasons.LEDGER_LOCKED.error(
                    what=holder.what, holder=holder.described, remedy=remedy
                ) from error
        time.sleep(_PAUSE_SECONDS)


def _migrate(pool: Pool) -> list[str]:
    with pool.transaction("migrating the ledger") as cursor:
        cursor.execute(_SQL["blink"])
        if not _missing(cursor):
            return []  # without any lock
        cursor.execute(_SQL["lock_migrations"])
        missing = _missing(cursor)
        for version, text in missing:
            cursor.execute(text)
            cursor.execute(_SQL["add_migration"], {"version": version})
        return [version for version, _ in missing]


def _missing(cursor: psycopg2.extensions.cursor) -> list[tuple[str, str]]:
    known: set[str] = set()
    cursor.execute(_SQL["has_migrations"])
    if (cursor.fetchone() or (False,))[0]:
        cursor.execute(_SQL["migrations"])
        known = {row[0] for row in cursor.fetchall()}
    return [(version, text) for version, text in ledger_files() if version not in known]
