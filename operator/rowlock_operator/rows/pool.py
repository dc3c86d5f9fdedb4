"""One small pool of connections a database, shared by all its sources, queues and duties."""

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from rowlock_ledger.statements import load_statements
from rowlock_operator.api import reasons
from rowlock_operator.api.reasons import Reason
from rowlock_operator.errors import RetryLater, RowlockError
from rowlock_operator.rows.connecting import connect, read_address

_SQL = load_statements("rowlock_operator.rows", "sql/ledger_calls.sql", "sql/source.sql")
_VACUUM = _SQL["vacuum"]
_TRANSACTION_SETTINGS = _SQL["transaction_settings"]
_NO_TRANSACTION_TIMEOUT = _SQL["no_transaction_timeout"]
_KNOWS_TRANSACTION_TIMEOUT = 170_000  # server version
_USER_TABLE_SETTINGS = _SQL["user_table_settings"]

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
# SQLSTATE classes that say something of the server, not of one table: connection, transaction, resources,
# shutdown, system.
_AWAY = ("08", "25", "40", "53", "57", "58")
_CANCELED = "57014"  # our patience with one table, or somebody's pg_cancel_backend: nobody else's trouble
_LOCK_TIMEOUT, _RIGHT = "55P03", "42501"
# Where PostgreSQL raises what a policy (WITH CHECK) or a RAISE of a trigger refuses; messages are translated,
# these names are not.
_OF_A_ROW = ("ExecWithCheckOptions", "exec_stmt_raise")
# A value, a constraint, a trigger, a check option, a size: what refuses one row need not refuse the next.
_ROW_CLASSES = ("22", "23", "39", "44", "54", "P0")
_BY_CODE: dict[str, Reason] = {
    _RIGHT: reasons.NOT_ALLOWED,
    "RW003": reasons.NOT_ALLOWED,
    "42P01": reasons.TABLE_MISSING,
    "3F000": reasons.TABLE_MISSING,
    "42703": reasons.COLUMN_MISSING,
    _LOCK_TIMEOUT: reasons.TABLE_LOCKED,
    "RW001": reasons.QUEUE_UNKNOWN,
    _CANCELED: reasons.TABLE_SLOW,
}
_LOGIN_REFUSED = ("password authentication failed", "no pg_hba.conf entry", "no password supplied")
_REMEDIES = {
    "NotAllowed": {"remedy": "GRANT to the operator's role what is named here"},
    "ColumnMissing": {"field": "the field that names it", "known": ""},
}


@dataclass(frozen=True)
class Patience:
    """How long a transaction on a user's table waits for a lock, and how long each of its statements may
    last, in milliseconds.
    """

    lock_ms: int
    statement_ms: int
    final: bool = True  # nobody has more of it: what takes longer than this is told


DEFAULT_PATIENCE = Patience(lock_ms=1_000, statement_ms=30_000)
# Of the thread that works now: whoever looks at many tables in turn has little with each of them.
_current: ContextVar[Patience] = ContextVar("patience", default=DEFAULT_PATIENCE)


def patience_now() -> Patience:
    """Of the thread that works now."""
    return _current.get()


@contextlib.contextmanager
def patient(patience: Patience) -> Iterator[None]:
    """All that this thread does on users' tables within has this patience, unless it says otherwise."""
    before = _current.set(patience)
    try:
        yield
    finally:
        _current.reset(before)


def said(error: psycopg2.Error) -> str:
    """What the database said of it, in one line."""
    text = " ".join(str(error).strip().splitlines()[:1]) or type(error).__name__
    return text + (
        f" (hint: {error.diag.message_hint.rstrip('.')})" if error.diag and error.diag.message_hint else ""
    )


def translate(error: psycopg2.Error, what: str, *, on_table: bool = False) -> RowlockError:
    """Our error for a library error: what failed, why, what to do. The first line only: details can hold row
    contents.

    `on_table`: the statement was on a user's table, whose triggers and policies may say anything of one row.
    """
    text = said(error)
    fact, code = f"{what}: {text}", error.pgcode or ""
    if code.startswith("28") or any(words in text for words in _LOGIN_REFUSED):
        return reasons.WRONG_CREDENTIALS.error(fact=fact)
    if on_table and code and _met_in_row(error, code):
        policy = ". The policy must let the operator's role write this row" if code == _RIGHT else ""
        return reasons.ROW_REFUSED.error(fact=fact + policy)
    if not code or (code.startswith(_AWAY) and code != _CANCELED):
        return RetryLater(fact)
    reason = _BY_CODE.get(
        code, reasons.ROW_REFUSED if code.startswith(_ROW_CLASSES) else reasons.QUERY_REFUSED
    )
    return reason.error(fact=fact, **_REMEDIES.get(reason.name, {}))


def _met_in_row(error: psycopg2.Error, code: str) -> bool:
    """Whether one row was refused, so that others may pass, whatever the code: by its policy or by a RAISE,
    or in what the row set off (a trigger, a foreign key, a wait for somebody's lock).
    """
    if error.diag.source_function in _OF_A_ROW:
        return True
    if code == _CANCELED and not patience_now().final:
        return False  # it was not given its time yet
    return bool(error.diag.context) and (code == _CANCELED or not code.startswith(_AWAY))


def row_refused(error: psycopg2.Error) -> bool:
    """Whether a statement on a user's table failed for what one row says, so that the transaction can go on
    from a savepoint without it.
    """
    reason = getattr(translate(error, "", on_table=True), "reason", "")
    return reason == reasons.ROW_REFUSED.name and error.pgcode != _CANCELED


def took_too_long(error: psycopg2.Error) -> bool:
    """A statement_timeout, or somebody canceled it: a statement on fewer rows may pass."""
    return error.pgcode == _CANCELED


class Pool:
    """At most `size` connections; a broken one is replaced, and its user sees RetryLater."""

    def __init__(self, url: str, size: int = 4) -> None:
        """Raises GiveUp (SecretMalformed) for an address that cannot be read."""
        self._address = read_address(url)
        self.name = self._address.name
        self._free: list[psycopg2.extensions.connection] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(size)
        self.in_use = 0

    @contextlib.contextmanager
    def transaction(self, what: str, *, on_table: bool = False) -> Iterator[psycopg2.extensions.cursor]:
        """A cursor in a transaction that commits at the end. Raises RetryLater where the database is away,
        GiveUp where repeating does not help.
        """
        if not self._slots.acquire(timeout=30):
            raise RetryLater(f"{what}: all connections to {self.name} are busy")
        connection = None
        try:
            with self._lock:
                self.in_use += 1
                connection = self._free.pop() if self._free else None
            if connection is not None and not _begun(connection):
                connection.close()
                self._drop_free()
                connection = None
            if connection is None:
                connection = self.new_connection()
                # Said in each BEGIN, not in the session.
                connection.set_session(isolation_level="READ COMMITTED", readonly=False, deferrable=False)
                _begin(connection)
            with connection, connection.cursor() as cursor:
                yield cursor
            with self._lock:
                self._free.append(connection)
            connection = None
        except psycopg2.Error as error:
            if isinstance(error, _UNREACHABLE) and error.pgcode not in (_CANCELED, _LOCK_TIMEOUT):
                self._drop_free()  # after a restart every pooled connection is dead, not just this one
            raise translate(error, f"database {self.name}: {what}", on_table=on_table) from error
        finally:
            if connection is not None and not self._keep(connection):
                connection.close()
            with self._lock:
                self.in_use -= 1
            self._slots.release()

    @contextlib.contextmanager
    def on_table(self, what: str) -> Iterator[psycopg2.extensions.cursor]:
        """A transaction on a user's table, within the patience of this thread: neither somebody's lock on it
        nor its size holds up the other tables.

        Raises GiveUp (TableLocked, TableSlow).
        """
        patience = _current.get()
        with self.transaction(what, on_table=True) as cursor:
            cursor.execute(
                _USER_TABLE_SETTINGS, {"lock_ms": patience.lock_ms, "statement_ms": patience.statement_ms}
            )
            yield cursor

    def new_connection(self) -> psycopg2.extensions.connection:
        """Raises psycopg2.OperationalError where nobody answers or the login is refused."""
        return connect(self._address, _OPTIONS)

    def rows(self, what: str, statement: str, parameters: object = None) -> list[tuple[Any, ...]]:
        """One statement, one transaction, all its rows ([] where it returns none)."""
        with self.transaction(what) as cursor:
            cursor.execute(statement, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def records(self, what: str, statement: str, parameters: object = None) -> list[dict[str, Any]]:
        """The same with each row by the names of its columns."""
        with self.transaction(what) as cursor:
            cursor.execute(statement, parameters)  # type: ignore[arg-type]
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()] if names else []

    def vacuum(self, table: str) -> None:
        """VACUUM of one table of schema rowlock, on a connection of its own: it cannot run in a
        transaction.
        """
        try:
            connection = self.new_connection()
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

    def _keep(self, connection: psycopg2.extensions.connection) -> bool:
        """After an error: a connection that answered with one and is out of its transaction is as good as
        before.
        """
        if (
            connection.closed
            or connection.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE
        ):
            return False
        with self._lock:
            self._free.append(connection)
        return True

    def _drop_free(self) -> None:
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def close(self) -> None:
        self._drop_free()


def _begin(connection: psycopg2.extensions.connection) -> None:
    """A transaction in which the settings that ours rely on are what they should be."""
    more = f";\n{_NO_TRANSACTION_TIMEOUT}" if connection.server_version >= _KNOWS_TRANSACTION_TIMEOUT else ""
    with connection.cursor() as cursor:
        cursor.execute(_TRANSACTION_SETTINGS + more)


def _begun(connection: psycopg2.extensions.connection) -> bool:
    """The same on a connection that was used before; false where it is dead (a restart,
    idle_session_timeout): nothing was asked of it yet.
    """
    try:
        _begin(connection)
        return True
    except _UNREACHABLE:
        return False
