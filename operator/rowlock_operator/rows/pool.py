"""One small pool of connections a database, shared by all its sources, queues and duties."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from rowlock_operator.errors import GiveUp, RetryLater, RowlockError
from rowlock_operator.rows.statements import statements

_VACUUM = statements("ledger_calls")["vacuum"]

# TCP gives up on a dead peer within about 10 s; a statement that hangs must not hold a duty for ever.
_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "rowlock-operator",
}
_UNREACHABLE = (psycopg2.OperationalError, psycopg2.InterfaceError)


def safe(url: str) -> str:
    """The URL as it may appear in a message: no password."""
    try:
        parts = psycopg2.extensions.parse_dsn(url)
    except psycopg2.ProgrammingError:
        return "(not a PostgreSQL URL)"
    return f"{parts.get('user', '?')}@{parts.get('host', 'localhost')}:{parts.get('port', '5432')}/{parts.get('dbname', '?')}"


def translate(error: psycopg2.Error, what: str) -> RowlockError:
    """Our error for a library error: what failed, why, what to do. The first line only: details can hold row contents."""
    text = " ".join(str(error).strip().splitlines()[:1]) or type(error).__name__
    hint = f" Hint: {error.diag.message_hint}" if error.diag and error.diag.message_hint else ""
    code = error.pgcode or ""
    if code == "42501":
        return GiveUp(f"{what}: {text}. Grant the right to the operator's role.", "NotAllowed")
    if code in ("42P01", "3F000"):
        return GiveUp(f"{what}: {text}. Create the table.{hint}", "TableMissing")
    if code == "42703":
        return GiveUp(f"{what}: {text}.{hint}", "ColumnMissing")
    if code.startswith("28") or "password authentication failed" in text:
        return GiveUp(f"{what}: {text}. Correct the login in the Secret.", "WrongCredentials")
    if code.startswith(("42", "22")):
        return GiveUp(f"{what}: {text}.{hint}", "InvalidQuery")
    if code == "RW001":
        return GiveUp(f"{what}: {text}.{hint}", "UnknownQueue")
    if code == "RW003":
        return GiveUp(f"{what}: {text}.{hint}", "NotAllowed")
    return RetryLater(f"{what}: {text}")


class Pool:
    """At most `size` connections; a broken one is replaced, and its user sees RetryLater."""

    def __init__(self, url: str, size: int = 4) -> None:
        self.url, self.name = url, safe(url)
        self._free: list[psycopg2.extensions.connection] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(size)
        self.in_use = 0

    @contextlib.contextmanager
    def transaction(self, what: str) -> Iterator[psycopg2.extensions.cursor]:
        """A cursor in a transaction that commits at the end. Raises RetryLater where the database is away, GiveUp where repeating does not help."""
        if not self._slots.acquire(timeout=30):
            raise RetryLater(f"{what}: all connections to {self.name} are busy")
        connection = None
        try:
            with self._lock:
                self.in_use += 1
                connection = self._free.pop() if self._free else None
            if connection is None:
                connection = psycopg2.connect(self.url, **_OPTIONS)
            with connection, connection.cursor() as cursor:
                yield cursor
            with self._lock:
                self._free.append(connection)
            connection = None
        except psycopg2.Error as error:
            if isinstance(error, _UNREACHABLE):
                self._drop_free()  # after a restart every pooled connection is dead, not just this one
            raise translate(error, f"database {self.name}: {what}") from error
        finally:
            if connection is not None:
                connection.close()
            with self._lock:
                self.in_use -= 1
            self._slots.release()

    def rows(self, what: str, statement: str, parameters: object = None) -> list[tuple[Any, ...]]:
        """One statement, one transaction, all its rows ([] where it returns none)."""
        with self.transaction(what) as cursor:
            cursor.execute(statement, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def vacuum(self, table: str) -> None:
        """VACUUM of one table of schema rowlock, on a connection of its own: it cannot run in a transaction."""
        try:
            connection = psycopg2.connect(self.url, **_OPTIONS)
        except psycopg2.Error as error:
            raise translate(error, f"database {self.name}: vacuum of {table}") from error
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(_VACUUM).format(sql.Identifier("rowlock", table)))
        except psycopg2.Error as error:
            raise translate(error, f"database {self.name}: vacuum of {table}") from error
        finally:
            connection.close()

    def _drop_free(self) -> None:
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def close(self) -> None:
        self._drop_free()
