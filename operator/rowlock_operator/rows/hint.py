"""The hint's listener: NOTIFY 'rowlock' ends a wait early. A session of its own, since LISTEN lives in a
session.

Whoever adds a row sends one only while the listener asks for it, which it does by holding an advisory lock
(functions/hint.sql). Where there is no session to have (PgBouncer in transaction mode, a database that is
away), a wait simply lasts as long as it was asked to: the poll behind it is the truth.
"""

import logging
import select
import threading
import time

import psycopg2
import psycopg2.extensions

from rowlock_ledger.statements import load_statements
from rowlock_operator.errors import RowlockError
from rowlock_operator.rows.pool import Pool

log = logging.getLogger("rowlock.rows")
_SQL = load_statements("rowlock_operator.rows", "sql/hint.sql")
_AGAIN_SECONDS = 10.0  # after a connection was lost
_NO_SESSION_AGAIN_SECONDS = 300.0  # behind a pooler: it may be taken away some day


class HintListener:
    """For one thread. Raises nothing: a hint that cannot be had is not missed."""

    def __init__(self, pool: Pool, stop: threading.Event) -> None:
        self._pool, self._stop = pool, stop
        self._connection: psycopg2.extensions.connection | None = None
        self._asking = False
        self._again = 0.0

    @property
    def listening(self) -> bool:
        return self._connection is not None

    def ask(self, wanted: bool) -> None:
        """Whether those who add rows shall say so from now on."""
        if wanted and self._connection is None and time.monotonic() >= self._again:
            self._connect()
        if self._connection is None or wanted == self._asking:
            return
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(_SQL["ask" if wanted else "ask_no_more"])
                self._asking = wanted and bool((cursor.fetchone() or (False,))[0])
        except psycopg2.Error:
            self._lost()

    def wait(self, seconds: float) -> bool:
        """Up to so many seconds; true as soon as somebody hinted."""
        if self._connection is None:
            self._stop.wait(seconds)
            return False
        try:
            if not self._heard():
                select.select([self._connection], [], [], seconds)
                self._heard()
            hinted = bool(self._connection.notifies)
            self._connection.notifies.clear()
            return hinted
        except (psycopg2.Error, OSError, ValueError):
            self._lost()
            return False

    def _heard(self) -> bool:
        assert self._connection is not None
        self._connection.poll()
        return bool(self._connection.notifies)

    def _connect(self) -> None:
        self._again = time.monotonic() + _AGAIN_SECONDS
        connection = None
        try:
            connection = self._pool.new_connection()
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(_SQL["own_process"])
                # A pooler answers with a process id of its own: what we would leave in that session would be
                # somebody else's next.
                if (cursor.fetchone() or (0,))[0] != connection.get_backend_pid():
                    self._again = time.monotonic() + _NO_SESSION_AGAIN_SECONDS
                    log.info(
                        "hint_not_possible", extra={"why": "a pooler is between; rows are found by polling"}
                    )
                    return
                cursor.execute(_SQL["listen"])
            self._connection, connection = connection, None
        except (psycopg2.Error, RowlockError) as error:
            log.debug("hint_not_possible", extra={"why": type(error).__name__})
        finally:
            if connection is not None:
                connection.close()

    def _lost(self) -> None:
        connection, self._connection, self._asking = self._connection, None, False
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Ends the session, and with it the lock."""
        self._lost()
