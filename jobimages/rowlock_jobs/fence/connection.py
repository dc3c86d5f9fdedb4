"""One autocommit connection to the ledger that reconnects, bounds every wait and keeps no session state."""

import logging
import os
import re
import select
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import make_dsn

from rowlock_jobs import logs
from rowlock_jobs.errors import FenceAway, FenceRefused, FenceRuled, SettingsError
from rowlock_jobs.secret_files import Address, Secret, current, variable_of
from rowlock_ledger.addresses import UNSUPPORTED_ENCODING, cause_of, read_database_address, refuses_login
from rowlock_ledger.statements import load_statements

# A database that is cut off without a word is noticed within about ten seconds, not after the kernel's
# fifteen minutes.
NETWORK = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
STATEMENT_TIMEOUT_MS = 5_000
# Behind a statement timeout that nobody keeps: a server that is frozen, a pooler that has no connection for
# us.
LONGEST_WAIT_SECONDS = 30.0
_NOWHERE = "/nonexistent/rowlock"
_REFUSALS = (
    (_NOWHERE, ""),  # it came so far as to look for the socket
    ("definition of service", "the service that it names is in no file of services (PGSERVICEFILE)"),
    ("could not match", "it has more or fewer ports or addresses than hosts"),
    ("invalid", "an option has a value that libpq does not take"),
)
_FIRST_LOGIN_PAUSE_SECONDS = 0.5
_LONGEST_LOGIN_PAUSE_SECONDS = 5.0
_TICK_SECONDS = 0.5
_LOOK_AFTER_SECONDS = 0.2
_KNOWS_TRANSACTION_TIMEOUT = 170_000
_QUOTED = re.compile(r'"[^"]*"?')  # in a sentence about a value: the value
_ABOUT_ENCODINGS = ("22P05", "22021")  # those quote an encoding's name
# SQLSTATE: a constraint, an exception that a trigger raised, a view's check option
_RULES = ("23", "P0", "44")
# SQLSTATE: data exception; more than the server can take (nested too deep, too large)
_VALUES_REFUSED = ("22", "54")


_PIN = load_statements("rowlock_jobs.fence", "sql/sessions.sql")["pin"]


class LoginRefused(psycopg2.OperationalError):
    """The server does not let this login in; the next try reads the address anew."""


def check_address(address: Address) -> None:
    """Refuses what no server could ever make good: an option or a value that libpq does not know, a file that
    is not there.

    Asks libpq, but about a socket that is nowhere, so no server is spoken to. Raises SettingsError, which
    names the variable.
    """
    parameters = dict(read_database_address(current(address)).parameters)
    if not any(
        parameters.get(key) or os.environ.get(f"PG{key.upper()}") for key in ("host", "hostaddr", "service")
    ):
        why = "it names no host (a socket's folder is named by ?host=/FOLDER)"
    else:
        why = _unusable_file(parameters) or _refused_by_libpq(parameters)
    if why:
        raise SettingsError(f"{variable_of(address)} cannot be used: {why}")


def _unusable_file(parameters: Mapping[str, str]) -> str:
    for option in ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"):
        path = parameters.get(option)
        if path and not (option == "sslrootcert" and path == "system") and not os.access(path, os.R_OK):
            return f"the file that {option} names is not there or may not be read"
        if path and option == "sslrootcert" and path != "system":
            try:
                ssl.create_default_context(cafile=path)
            except OSError:
                return f"the file that {option} names holds no certificate in PEM"
    return ""


def _refused_by_libpq(parameters: Mapping[str, str]) -> str:
    hosts = (parameters.get("host") or parameters.get("hostaddr") or "").count(",") + 1
    nowhere = {
        **parameters,
        "host": ",".join([_NOWHERE] * hosts),
        "hostaddr": "",
        "client_encoding": "utf8",
        "connect_timeout": "2",
    }
    try:
        psycopg2.connect(make_dsn(**nowhere)).close()
    except psycopg2.OperationalError as error:
        text = str(error)
        return next((why for words, why in _REFUSALS if words in text), cause_of(text))
    except (psycopg2.Error, TypeError):
        return "it has an option that libpq does not know"
    return ""


_Connection = TypeVar("_Connection", bound=psycopg2.extensions.connection)


def connect_as(
    kind: type[_Connection],
    address: Address,
    application_name: str,
    *,
    login_patience_seconds: float = 0.0,
    options: str = "",
) -> _Connection:
    """A new connection of that class, bounded in its waits, by the address as its file says it now.

    `options`: command-line options of the session (`-c NAME=VALUE`), behind those of the address. A refused
    login is tried again for so many seconds. Raises AddressMalformed for a text that is none, and
    psycopg2.OperationalError in our words: libpq's quote whatever it took for a host. Raises SettingsError
    for a database whose encoding is not supported.
    """
    give_up, pause_seconds = time.monotonic() + login_patience_seconds, _FIRST_LOGIN_PAUSE_SECONDS
    while True:
        try:
            return _connect(kind, address, application_name, options)
        except LoginRefused as error:
            logs.emit(logs.LOGIN_REFUSED, logging.WARNING, store="database", error=str(error))
            if time.monotonic() + pause_seconds > give_up:
                raise
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, _LONGEST_LOGIN_PAUSE_SECONDS)


def connect(
    address: Address, application_name: str, *, login_patience_seconds: float = 0.0
) -> psycopg2.extensions.connection:
    """The same of psycopg2's own class."""
    return connect_as(
        psycopg2.extensions.connection,
        address,
        application_name,
        login_patience_seconds=login_patience_seconds,
    )


def _connect(of: type[_Connection], address: Address, application_name: str, options: str) -> _Connection:
    try:
        parameters: dict[str, Any] = {
            **read_database_address(current(address)).parameters,
            "application_name": application_name,
            "client_encoding": "utf8",
            **NETWORK,
        }
        if options:
            parameters["options"] = f"{parameters.get('options', '')} {options}".strip()
    except SettingsError as error:  # the file is gone or spoiled, which somebody may mend
        cause = str(error)
    else:
        try:
            # As a text of libpq's: among keywords there are psycopg2's own, such as async.
            connection: _Connection = psycopg2.connect(make_dsn(**parameters), connection_factory=of)
        except (psycopg2.Error, TypeError) as error:
            cause = cause_of(str(error))
        else:
            _check_encoding(connection, address)
            return connection
    kind = LoginRefused if refuses_login(cause) else psycopg2.OperationalError
    raise kind(
        f"{cause} (the address is that of {address.variable})" if isinstance(address, Secret) else cause
    )


def _check_encoding(connection: psycopg2.extensions.connection, address: Address) -> None:
    """Refuses a database that keeps bytes and does not know what they mean: nothing could be read or written
    for sure.
    """
    encoding = connection.get_parameter_status("server_encoding")
    if encoding == "SQL_ASCII":
        connection.close()
        raise SettingsError(
            f"{variable_of(address)} names a database that Rowlock cannot work in: {UNSUPPORTED_ENCODING}"
        )


def connect_for_transactions(
    address: Address, application_name: str, *, login_patience_seconds: float = 0.0
) -> psycopg2.extensions.connection:
    """The same; its transactions begin as READ COMMITTED and READ WRITE whatever the role's defaults are:
    each BEGIN says so.
    """
    connection = connect(address, application_name, login_patience_seconds=login_patience_seconds)
    connection.set_session(isolation_level="READ COMMITTED", readonly=False, deferrable=False)
    return connection


def without_transaction_timeout(connection: psycopg2.extensions.connection, scope: str = "local") -> str:
    """One more line of a pin, where the server knows that setting."""
    return (
        f"set {scope} transaction_timeout = 0;\n"
        if connection.server_version >= _KNOWS_TRANSACTION_TIMEOUT
        else ""
    )


def values_refused(error: psycopg2.Error) -> bool:
    """Whether the database refuses the values of a call: asking again with the same ones changes nothing."""
    # psycopg2 has no form for an object of that class
    unsent = isinstance(error, psycopg2.ProgrammingError) and not error.pgcode
    return unsent or isinstance(error, psycopg2.DataError) or (error.pgcode or "").startswith(_VALUES_REFUSED)


def connection_lost(error: BaseException) -> bool:
    """Whether an error can be that of a database that went away. Of which one, and whether it did, only its
    connection tells.
    """
    if isinstance(error, psycopg2.InterfaceError):
        return True
    if not isinstance(error, psycopg2.OperationalError):
        return False
    state = error.pgcode or ""
    return not state or state.startswith(("08", "57P"))


class FenceConnection:
    """Calls the ledger's functions; a connection that failed is dropped and made anew at the next call.

    `while_waiting`, where it is set, is called every half second in which the answer does not come, and may
    use another connection. Such a connection is for a process without threads: psycopg2 knows one way of
    waiting for the whole process.
    """

    def __init__(
        self,
        address: Address,
        application_name: str,
        statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
        *,
        login_patience_seconds: float = 0.0,
    ) -> None:
        self._address, self._application_name = address, application_name
        self._login_patience_seconds = login_patience_seconds
        self._pin = _PIN.format(statement_timeout_ms=int(statement_timeout_ms)) + ";\n"
        self._prefix = ""
        self._used_at = 0.0
        self._connection: psycopg2.extensions.connection | None = None
        self._cursor: Any = None
        self.while_waiting: Callable[[], None] | None = None
        self.away = False  # whether the database answered when it was asked last

    def call(self, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of one statement, committed.

        Raises FenceRefused where the database refuses the values, FenceRuled where a rule of it does,
        FenceAway for everything else: it may have been carried out.
        """
        try:
            cursor = self._living() or self._open()
            with self._waiting(), _expressible():
                cursor.execute(self._prefix + statement, parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            self._used_at = time.monotonic()
            self.away = False
            return rows
        except psycopg2.Error as error:
            if values_refused(error):
                self.away = False
                raise FenceRefused(_without_value(error)) from error
            if (error.pgcode or "").startswith(_RULES):
                self.away = False
                raise FenceRuled(
                    f"a rule of the database refuses it: {first_line(error)}; the call is repeated"
                ) from error
            self.close()
            self.away = True
            raise FenceAway(
                f"the ledger did not answer: {first_line(error)}; the call is repeated"
            ) from error

    def close(self) -> None:
        """Drops the connection; the next call makes a new one."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None and not connection.closed:
            connection.close()

    def fileno(self) -> int | None:
        """The socket, so that a forked child can shut it off from itself; None while there is none."""
        connection = self._connection
        return connection.fileno() if connection is not None and not connection.closed else None

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        if self.while_waiting is None:
            yield
            return
        before = psycopg2.extensions.get_wait_callback()
        psycopg2.extensions.set_wait_callback(self._wait)
        try:
            yield
        finally:
            psycopg2.extensions.set_wait_callback(before)

    def _wait(self, connection: psycopg2.extensions.connection) -> None:
        """psycopg2 calls this for as long as a statement of ours has no answer."""
        give_up = time.monotonic() + LONGEST_WAIT_SECONDS
        poll = select.poll()
        while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
            poll.register(
                connection.fileno(),
                select.POLLIN if state == psycopg2.extensions.POLL_READ else select.POLLOUT,
            )
            if poll.poll(_TICK_SECONDS * 1000):
                continue
            if time.monotonic() > give_up:
                raise psycopg2.OperationalError(f"no answer within {LONGEST_WAIT_SECONDS:g} s")
            if self.while_waiting is not None:
                self._with_plain_waits(self.while_waiting)

    @staticmethod
    def _with_plain_waits(action: Callable[[], None]) -> None:
        """Another connection waits in its own way meanwhile."""
        ours = psycopg2.extensions.get_wait_callback()
        psycopg2.extensions.set_wait_callback(None)
        try:
            action()
        finally:
            psycopg2.extensions.set_wait_callback(ours)

    def _living(self) -> Any:
        """The cursor, or None. A server that ended an idle session (idle_session_timeout, a restart) has said
        so by now.
        """
        connection = self._connection
        idle = connection is not None and time.monotonic() - self._used_at > _LOOK_AFTER_SECONDS
        if (
            connection is not None
            and idle
            and (connection.closed or select.select([connection], [], [], 0)[0])
        ):
            self.close()
        return self._cursor

    def _open(self) -> Any:
        self._connection = connect(
            self._address, self._application_name, login_patience_seconds=self._login_patience_seconds
        )
        self._connection.autocommit = True
        self._prefix = self._pin + without_transaction_timeout(self._connection)
        self._cursor = self._connection.cursor()
        return self._cursor


@contextmanager
def _expressible() -> Iterator[None]:
    """psycopg2 itself refuses text that no statement can hold (a NUL character, half a surrogate pair),
    before anything is sent.
    """
    try:
        yield
    except ValueError as error:
        raise FenceRefused(f"a value is no text for PostgreSQL: {type(error).__name__}") from None


def _without_value(error: psycopg2.Error) -> str:
    line = first_line(error)
    return line if error.pgcode in _ABOUT_ENCODINGS else _QUOTED.sub('"..."', line)


def first_line(error: Exception) -> str:
    """What a database said, in one line: later ones may quote the statement, and with it somebody's
    result.
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
