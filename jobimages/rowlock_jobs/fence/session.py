"""The connections a task borrows in the process it runs in: made on first use, kept for the next run, never shared with the parent.

The finish rides in the task's own transaction: finish_v1 is the last statement before the commit, so a stale runner's writes are
rolled back with its refused fence, and a crash before the commit leaves neither.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import psycopg2.extensions

from rowlock_jobs.errors import FenceAway, FenceRefused
from rowlock_jobs.fence.connection import (
    FenceConnection,
    connect_for_transactions,
    load_statement,
    values_refused,
    without_transaction_timeout,
)
from rowlock_jobs.fence.ledger import Ledger, finish_parameters
from rowlock_jobs.fence.values import FinishedRun, RunnerToken
from rowlock_jobs.secret_files import Address

_FINISH = load_statement("finish")
_PIN_TASK = load_statement("pin_task")
_PIN_FINISH = load_statement("pin_finish")
_OWN_PROCESS = load_statement("own_process")
_LOOK_AFTER_SECONDS = 2.0
# The worker that took this run is logged in. So a login that is refused is one that changes just now: the Secret follows within a
# minute or two, and the run need not fail for it.
LOGIN_PATIENCE_SECONDS = 150.0


class TaskSession:
    """One process's borrowed connections. Not for several threads at once."""

    def __init__(self, address: Address, application_name: str = "rowlock-task") -> None:
        self._address, self._application_name = address, application_name
        self.ledger = Ledger(FenceConnection(address, application_name, login_patience_seconds=LOGIN_PATIENCE_SECONDS))
        self._transaction = _Kept(address, application_name)
        self._plain = _Kept(address, application_name)
        self._open = False
        self._spoiled = False

    @property
    def in_transaction(self) -> bool:
        """Whether this run has writes waiting for its finish."""
        return self._open

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor in the transaction that the finish will commit."""
        if self._spoiled:
            raise psycopg2.ProgrammingError("an earlier block of run.transaction() failed: this run can only fail or start anew")
        if not self._open:
            self._transaction.begin()
            self._open = True
        try:
            with self._transaction.connection.cursor() as cursor:
                yield cursor
        except BaseException:
            # The task may catch this and return; its half-made writes must not be committed by the finish.
            self._spoiled = True
            raise

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """An ordinary connection; commits at the end of the block, rolls back where it raises."""
        kept = self._plain
        if kept.lent:  # a block inside a block gets a connection of its own
            kept = _Kept(self._address, self._application_name)
        kept.begin()
        kept.lent = True
        try:
            with kept.connection as connection:
                yield connection
        finally:
            kept.lent = False
            kept.used_at = time.monotonic()
            if kept is not self._plain:
                kept.drop()

    def finish(self, finished: FinishedRun, token: RunnerToken) -> str | None:
        """Finish and commit together: the run's new state, or None (stale, everything rolled back).

        Raises FenceRefused (rolled back: the values cannot be stored, or the transaction is spoiled) and FenceAway (the commit's
        reply was lost: only the ledger knows).
        """
        if self._spoiled:
            self.rollback()
            raise FenceRefused("a block of run.transaction() failed, so its writes were rolled back")
        connection = self._transaction.connection
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"{_PIN_FINISH}\n{_FINISH}", finish_parameters([finished], token))
                rows = cursor.fetchall()
            if rows:
                connection.commit()
        except psycopg2.Error as error:
            if isinstance(error, psycopg2.IntegrityError | psycopg2.InternalError) or values_refused(error):
                # A deferred constraint speaks at the commit; a swallowed error of the task's own left the transaction aborted.
                self.rollback()
                raise FenceRefused(str(error).strip().splitlines()[0][:300]) from error
            self._transaction.drop()
            self._open = self._spoiled = False
            raise FenceAway("the ledger's answer to the finish in the task's transaction was lost") from error
        if rows:
            self._open = False
            self._transaction.used_at = time.monotonic()
            return str(rows[0][1])
        self.rollback()
        return None

    def rollback(self) -> None:
        """Forgets the writes of this run; also the reset between two runs."""
        if self._open:
            try:
                self._transaction.connection.rollback()
            except psycopg2.Error:
                self._transaction.drop()
        self._transaction.used_at = time.monotonic()
        self._open = self._spoiled = False


class _Kept:
    """A connection kept between runs, looked at before it is lent again."""

    def __init__(self, address: Address, application_name: str) -> None:
        self._address, self._application_name = address, application_name
        self._connection: psycopg2.extensions.connection | None = None
        self._pooled = False
        self.used_at = 0.0
        self.lent = False

    @property
    def connection(self) -> psycopg2.extensions.connection:
        assert self._connection is not None
        return self._connection

    def begin(self) -> None:
        """Makes sure of a living connection that is pinned. Raises psycopg2.OperationalError where the database is away."""
        if self._connection is not None and not self._connection.closed:
            try:
                self._look(self._connection)
                return
            except psycopg2.Error:
                self.drop()
        self._connection = connection = connect_for_transactions(
            self._address, self._application_name, login_patience_seconds=LOGIN_PATIENCE_SECONDS
        )
        with connection.cursor() as cursor:
            cursor.execute(_OWN_PROCESS)
            self._pooled = (cursor.fetchone() or (0,))[0] != connection.get_backend_pid()
        connection.rollback()
        self._pin(connection)
        if not self._pooled:
            connection.commit()

    def _look(self, connection: psycopg2.extensions.connection) -> None:
        if self._pooled:
            self._pin(connection)
        elif time.monotonic() - self.used_at > _LOOK_AFTER_SECONDS:
            with connection.cursor() as cursor:
                cursor.execute(_OWN_PROCESS)
            connection.rollback()

    def _pin(self, connection: psycopg2.extensions.connection) -> None:
        scope = "local" if self._pooled else "session"
        with connection.cursor() as cursor:
            cursor.execute(_PIN_TASK.format(scope=scope) + "\n" + without_transaction_timeout(connection, scope))

    def drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg2.Error):
                connection.close()
