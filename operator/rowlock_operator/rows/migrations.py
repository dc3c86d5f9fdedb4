"""Brings a database's ledger to this version (rowlock_ledger.install), and says who keeps it from that.

Expand first, contract one release later: an older operator or worker keeps working on a newer schema.
"""

import time

import psycopg2.errors

from rowlock_ledger.install import LEDGER, Schema, install
from rowlock_ledger.statements import load_statements
from rowlock_operator.api import reasons
from rowlock_operator.errors import RowlockError
from rowlock_operator.rows.ledger import Holder
from rowlock_operator.rows.pool import Pool

_SQL = load_statements("rowlock_operator.rows", "sql/ledger_calls.sql")
_PAUSE_SECONDS = 0.3


def migrate(pool: Pool, *, patience_seconds: float = 5.0, schema: Schema = LEDGER) -> list[str]:
    """Applies what is missing, all or nothing, and returns the versions applied. Several operators may call
    it at once: one works, the others wait.

    It waits for other people's locks for a blink only, since all the work of the database would wait behind
    it, and tries again. Raises GiveUp (LedgerLocked) with the name of whoever holds what it needs for longer
    than its patience, RetryLater where the database is away.
    """
    until = time.monotonic() + patience_seconds
    while True:
        try:
            with pool.transaction("migrating the ledger") as cursor:
                cursor.execute(_SQL["wait_briefly"])
                return install(cursor, schema)
        except RowlockError as error:
            if not isinstance(
                error.__cause__, psycopg2.errors.LockNotAvailable | psycopg2.errors.DeadlockDetected
            ):
                raise
            if time.monotonic() >= until:
                holder = next(
                    (
                        Holder(**row)
                        for row in pool.records("looking for who holds the ledger", _SQL["table_holders"])
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
