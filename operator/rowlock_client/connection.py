"""Where the ledger is, and one short transaction at a time in it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path

import psycopg2
import psycopg2.extensions

from rowlock_cli.errors import Failed, LedgerMissing
from rowlock_cli.values import register
from rowlock_ledger.addresses import DatabaseAddress
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.connecting import connect, read_address

Cursor = psycopg2.extensions.cursor
_NO_LEDGER = ("3F000", "42P01", "42883")  # no such schema, table, function
_REFUSED = "42501"


def database_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """The libpq address from ROWLOCK_DATABASE_URL_FILE (wins) or ROWLOCK_DATABASE_URL, or None. Failed for an
    unreadable file.
    """
    file = environment.get("ROWLOCK_DATABASE_URL_FILE")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise Failed(
                f"the file of ROWLOCK_DATABASE_URL_FILE cannot be read: {error}; correct the variable or the"
                " file"
            ) from error
    return environment.get("ROWLOCK_DATABASE_URL", "").strip() or None


class Ledger:
    """Opened at the first use and closed with the command."""

    def __init__(self, url: str) -> None:
        """Raises Failed for an address that cannot be read; no part of it is in the error."""
        self._address = _read(url)
        self._connection: psycopg2.extensions.connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor in a transaction that commits at the end of the block. Failed, with the remedy, for
        whatever the database refuses.
        """
        try:
            if self._connection is None:
                self._connection = connect(
                    self._address, {"connect_timeout": 10, "application_name": "rowlock-cli"}
                )
                # Said in each BEGIN, not in the session. Not READ WRITE: what only reads may be said to a
                # replica.
                self._connection.set_session(isolation_level="READ COMMITTED")
                register(self._connection)
            with self._connection, self._connection.cursor() as cur:
                cur.execute(sql("timeout"))
                yield cur
        except psycopg2.Error as error:
            raise _translated(error) from error
        except UnicodeError as error:
            raise Failed(f"this is not text that the database and this command both know: {error}") from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _read(url: str) -> DatabaseAddress:
    try:
        return read_address(url)
    except GiveUp as error:
        why = str(error)
    raise Failed(why)


def _translated(error: psycopg2.Error) -> Failed:
    message = (error.diag.message_primary or str(error)).strip()
    hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
    if error.pgcode in _NO_LEDGER:
        return LedgerMissing(
            f"this database holds no ledger of this version ({message}); is the address right, and has the"
            " operator started?"
        )
    if error.pgcode == _REFUSED:
        return Failed(
            f"this login may not do that ({message}); use the operator's login, or one with the role"
            " rowlock_client"
        )
    if error.pgcode is None:
        return Failed(f"the database does not answer: {message}")
    return Failed(f"{message}.{hint}" if hint else message)


@cache
def sql(name: str) -> str:
    """The text of sql/<name>.sql."""
    return files("rowlock_cli").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
