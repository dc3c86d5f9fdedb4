"""Where the ledger is, and one short transaction at a time in it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg2
import psycopg2.extensions

from rowlock_client.errors import (
    AddressUnusable,
    ClientError,
    LedgerMissing,
    NotAllowed,
    Refused,
    Unavailable,
)
from rowlock_client.queries import SQL
from rowlock_client.values import register
from rowlock_ledger.addresses import (
    DATABASE_FORM,
    UNSUPPORTED_ENCODING,
    AddressMalformed,
    DatabaseAddress,
    cause_of,
    read_database_address,
)

Cursor = psycopg2.extensions.cursor
_NO_LEDGER = ("3F000", "42P01", "42883")  # no such schema, table, function
_REFUSED = "42501"
_CONNECT_SECONDS = 10


def address_of_environment(environment: Mapping[str, str] = os.environ) -> str | None:
    """The libpq address from the file of ROWLOCK_DATABASE_URL_FILE (wins) or from ROWLOCK_DATABASE_URL; None
    where neither is set. Raises AddressUnusable for an unreadable file.
    """
    file = environment.get("ROWLOCK_DATABASE_URL_FILE")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise AddressUnusable(
                f"the file of ROWLOCK_DATABASE_URL_FILE cannot be read: {error}; correct the variable or the"
                " file"
            ) from error
    return environment.get("ROWLOCK_DATABASE_URL", "").strip() or None


class Client:
    """One connection to a database with a ledger: opened at the first transaction, again after one that was
    lost, closed by `close` or at the end of a `with` block. For one thread.
    """

    def __init__(self, url: str, *, application_name: str = "rowlock-client") -> None:
        """url: postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or libpq's key=value words; PgBouncer in
        transaction mode will do. application_name: as `pg_stat_activity` shows it.

        Raises AddressUnusable; connects nothing yet.
        """
        self._address = _read(url)
        self._application_name = application_name
        self._connection: psycopg2.extensions.connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor in a transaction that commits at the end of the block, and is rolled back where the block
        raises. Statements end after 60 s.

        Raises Unavailable, LedgerMissing, NotAllowed or Refused for what the database says, also within the
        block.
        """
        try:
            if self._connection is None:
                self._connection = _connect(self._address, self._application_name)
                # Said in each BEGIN, not in the session. Not READ WRITE: what only reads may be said to a
                # replica.
                self._connection.set_session(isolation_level="READ COMMITTED")
                register(self._connection)
            with self._connection, self._connection.cursor() as cursor:
                cursor.execute(SQL["transaction_settings"])
                yield cursor
        except psycopg2.Error as error:
            raise _translated(error) from error
        except UnicodeError as error:
            raise Refused(
                f"this is not text that the database and this command both know: {error}"
            ) from error

    def close(self) -> None:
        """Ends the connection; the next transaction opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(url: str) -> DatabaseAddress:
    try:
        address = read_database_address(url)
        psycopg2.extensions.make_dsn(None, **address.parameters)  # refuses what this libpq does not know
        return address
    except AddressMalformed as error:
        why = error.why
    except (psycopg2.Error, TypeError):
        why = "it has an option that libpq does not know"
    # Outside of the handlers: an error that stays behind as the context of ours would carry what it quotes.
    raise AddressUnusable(
        f"The database's URL in the Secret cannot be read: {why}. Store {DATABASE_FORM} as it is, with %40"
        " for @, %2F for /, %3F for ?, %23 for # and %25 for % in user and password."
    )


def _connect(address: DatabaseAddress, application_name: str) -> psycopg2.extensions.connection:
    parameters: dict[str, Any] = {
        **address.parameters,
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": application_name,
        "client_encoding": "utf8",
    }
    try:
        connection: psycopg2.extensions.connection = psycopg2.connect(**parameters)
    except psycopg2.Error as error:
        cause = cause_of(str(error))
    else:
        if connection.get_parameter_status("server_encoding") == "SQL_ASCII":
            connection.close()
            raise Refused(f"Rowlock cannot work in database {address.name}: {UNSUPPORTED_ENCODING}")
        return connection
    # libpq's own words quote whatever it took for a host.
    raise Unavailable(f"the database does not answer: {cause}")


def _translated(error: psycopg2.Error) -> ClientError:
    message = (error.diag.message_primary or str(error)).strip()
    hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
    if error.pgcode in _NO_LEDGER:
        return LedgerMissing(
            f"this database holds no ledger of this version ({message}); is the address right, and has the"
            " operator started?"
        )
    if error.pgcode == _REFUSED:
        return NotAllowed(
            f"this login may not do that ({message}); use the operator's login, or one with the role"
            " rowlock_client"
        )
    if error.pgcode is None:
        return Unavailable(f"the database does not answer: {message}")
    return Refused(f"{message}.{hint}" if hint else message)
