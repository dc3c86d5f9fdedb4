"""One autocommit connection to the ledger that reconnects, bounds every wait and keeps no session state."""

from importlib import resources
from typing import Any

import psycopg2
import psycopg2.extensions

from rowlock_jobs.addresses import cause_of, read_database_address
from rowlock_jobs.errors import FenceAway, FenceRefused

# A database that is cut off without a word is noticed within about ten seconds, not after the kernel's fifteen minutes.
NETWORK = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
STATEMENT_TIMEOUT_MS = 5_000


def load_statement(name: str) -> str:
    """The statement of sql/<name>.sql without its comment lines."""
    text = resources.files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def connect(url: str, application_name: str) -> psycopg2.extensions.connection:
    """A new connection, bounded in its waits. Raises psycopg2.OperationalError in our words: libpq's quote whatever it took for a host."""
    parameters: dict[str, Any] = {**read_database_address(url).parameters, "application_name": application_name, **NETWORK}
    try:
        connection: psycopg2.extensions.connection = psycopg2.connect(**parameters)
        return connection
    except psycopg2.Error as error:
        cause = cause_of(str(error))
    raise psycopg2.OperationalError(cause)


def connection_lost(error: BaseException) -> bool:
    """Whether an error says that the database went away, rather than that a statement was wrong."""
    if isinstance(error, psycopg2.InterfaceError):
        return True
    if not isinstance(error, psycopg2.OperationalError):
        return False
    state = error.pgcode or ""
    return not state or state.startswith(("08", "57P"))


class FenceConnection:
    """Calls the ledger's functions; a connection that failed is dropped and made anew at the next call."""

    def __init__(self, url: str, application_name: str, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS) -> None:
        self._url = url
        self._application_name = application_name
        # In front of every call, in the same round trip and the same implicit transaction: the one way to bound a statement
        # that PgBouncer in transaction mode cannot lose or leak (a startup option it may refuse, a SET it hands to somebody else).
        self._prefix = f"set local statement_timeout = {int(statement_timeout_ms)};\n"
        self._connection: psycopg2.extensions.connection | None = None
        self._cursor: Any = None

    def call(self, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of one statement, committed.

        Raises FenceRefused where the database refuses the values, FenceAway for everything else: it may have been carried out.
        """
        try:
            cursor = self._cursor or self._open()
            cursor.execute(self._prefix + statement, parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows
        except psycopg2.DataError as error:
            raise FenceRefused(_first_line(error)) from error
        except psycopg2.Error as error:
            self.close()
            raise FenceAway(f"the ledger did not answer: {_first_line(error)}; the call is repeated") from error

    def close(self) -> None:
        """Drops the connection; the next call makes a new one."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None and not connection.closed:
            connection.close()

    def fileno(self) -> int | None:
        """The socket, so that a forked child can shut it off from itself; None while there is none."""
        connection = self._connection
        return connection.fileno() if connection is not None and not connection.closed else None

    def _open(self) -> Any:
        self._connection = connect(self._url, self._application_name)
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        return self._cursor


def _first_line(error: psycopg2.Error) -> str:
    # Later lines may quote the statement, and with it somebody's result.
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
