"""The connections that one run borrows: made on first use, clean, and the run's own until it is over.

The finish rides in the task's own transaction: finish_v1 is the last statement before the commit, so a stale
runner's writes are rolled back with its refused fence, and a crash before the commit leaves neither.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

import psycopg2
import psycopg2.extensions

from rowlock_jobs.errors import FenceAway, FenceRefused, StaleAttempt
from rowlock_jobs.fence.connection import connection_lost, first_line
from rowlock_jobs.fence.ledger import Ledger, finish_parameters
from rowlock_jobs.fence.open_blocks import OpenBlocks, left_open
from rowlock_jobs.fence.pool import BorrowedConnection, ConnectionPool
from rowlock_jobs.fence.values import FinishedRun, RunnerToken
from rowlock_jobs.outcome import with_note
from rowlock_ledger.statements import load_statements

_SQL = load_statements("rowlock_jobs.fence", "sql/ledger.sql", "sql/sessions.sql")
_FINISH = _SQL["finish"]
_ENQUEUE = _SQL["enqueue"]
_PIN_FINISH = _SQL["pin_finish"]
# The server's own troubles: no room, shutting down, a system error. Everything else that it answers is about
# what it was asked.
_TROUBLES = ("53", "57", "58")


class TaskSession:
    """What one run borrowed. Its threads may borrow too; once the run is over nobody can."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._lock = Lock()
        self._fenced: BorrowedConnection | None = None
        self._free: list[BorrowedConnection] = []
        self._borrowed: list[BorrowedConnection] = []
        self._spoiled = self._over = self._away = False
        self._blocks = OpenBlocks()

    @property
    def ledger(self) -> Ledger:
        return self._pool.ledger

    @property
    def in_transaction(self) -> bool:
        """Whether this run has writes waiting for its finish."""
        return self._fenced is not None

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor in the transaction that the finish will commit."""
        if self._spoiled:
            raise psycopg2.ProgrammingError(
                "an earlier block of run.transaction() failed: this run can only fail or start anew"
            )
        with self._lock:
            if self._fenced is None:
                borrowed = self._borrow()
                borrowed.connection.fenced = True
                self._fenced = borrowed
            connection = self._fenced.connection
        try:
            with self._blocks.one(), connection.cursor() as cursor:
                yield cursor
        except BaseException:
            # The task may catch this and return; its half-made writes must not be committed by the finish.
            self._spoiled = True
            raise

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """An ordinary connection; commits at the end of the block, rolls back where it raises. A block inside
        a block has its own.
        """
        borrowed = self._free.pop() if self._free else self._borrow()
        borrowed.begin()
        # referred to from here, so that a block which outlives its run is seen
        connection = borrowed.connection
        try:
            yield connection
        except BaseException:
            with suppress(psycopg2.Error):  # a rollback that fails too would only hide why
                borrowed.end(commit=False)
            raise
        else:
            borrowed.end(commit=True)
        finally:
            if not connection.closed:
                self._free.append(borrowed)

    def finish(self, finished: FinishedRun, token: RunnerToken) -> str | None:
        """Finish and commit together: the run's new state, or None (stale, everything rolled back).

        Raises FenceRefused (rolled back: the values cannot be stored, or the transaction is spoiled) and
        FenceAway (the commit's reply was lost: only the ledger knows).
        """
        borrowed = self._fenced
        assert borrowed is not None
        connection = borrowed.connection
        if connection.ended or connection.was_ended():
            self.rollback()
            raise FenceRefused(
                "the task ended the transaction of run.transaction() by a statement of its own: what it wrote"
                " before may stay"
            )
        if self._blocks:
            borrowed.drop()  # a thread may be about to write more
            self._fenced = None
            raise left_open("run.transaction()")
        if self._spoiled:
            self.rollback()
            raise FenceRefused("a block of run.transaction() failed, so its writes were rolled back")
        try:
            connection.string_types.clear()
            finished = _expressible(finished, connection.get_parameter_status("server_encoding") or "UTF8")
            rows = connection.run(f"{_PIN_FINISH};\n{_FINISH}", finish_parameters([finished], token))
            borrowed.end(commit=bool(rows))
        except psycopg2.Error as error:
            if connection.closed or (error.pgcode or "").startswith(_TROUBLES):
                borrowed.drop()
                self._fenced = None
                raise FenceAway(
                    "the ledger's answer to the finish in the task's transaction was lost"
                ) from error
            # A deferred constraint speaks at the commit; a swallowed error of the task's own left the
            # transaction aborted.
            self.rollback()
            raise FenceRefused(first_line(error)) from error
        self._fenced = None
        return str(rows[0][1]) if rows else None

    def enqueue(self, parameters: Mapping[str, Any]) -> str | None:
        """A run that exists only if this run's finish is taken: its id, None where an active run has the key.
        Raises psycopg2.Error.
        """
        with self.transaction():
            assert self._fenced is not None
            ((run_id,),) = self._fenced.connection.run(_ENQUEUE, dict(parameters))
        return None if run_id is None else str(run_id)

    def rollback(self) -> None:
        """Forgets the writes of this run."""
        borrowed, self._fenced = self._fenced, None
        if borrowed is not None:
            try:
                borrowed.end(commit=False)
            except psycopg2.Error:
                borrowed.drop()

    def is_lost(self, error: BaseException | None) -> bool:
        """Whether a task's error, or what it came from, is the loss of a connection that was borrowed
        here.
        """
        if not self._away and not any(borrowed.is_lost for borrowed in self._borrowed):
            return False
        for _ in range(20):
            if error is None or connection_lost(error):
                break
            error = error.__cause__ or error.__context__
        return error is not None and connection_lost(error)

    def end(self) -> None:
        """The run is over: gives back what it borrowed."""
        self._over = True
        self._fenced = None
        self._free.clear()
        while self._borrowed:
            self._pool.take_back(self._borrowed.pop())

    def _borrow(self) -> BorrowedConnection:
        try:
            borrowed = self._pool.lend()
        except psycopg2.Error:
            self._away = True
            raise
        self._borrowed.append(borrowed)
        try:
            borrowed.begin()
        except psycopg2.Error:
            self._away = True
            raise
        if self._over:  # a thread asked while its task returned
            borrowed.drop()
            raise StaleAttempt(
                "the run is over: what outlives its task (a thread, a callback) may not use it"
            )
        return borrowed


def _expressible(finished: FinishedRun, encoding: str) -> FinishedRun:
    """With a remark in place of a result that has characters which a database in this encoding has not: asked
    before, because its refusal would end the transaction with the task's writes.
    """
    result, codec = finished.outcome.result, psycopg2.extensions.encodings.get(encoding)
    if encoding == "UTF8" or codec is None or "\\u" not in (result or ""):
        return finished
    try:
        json.dumps(json.loads(result or ""), ensure_ascii=False).encode(codec)
    except ValueError:
        note = f"a character has no equivalent in encoding {encoding}"
        return FinishedRun(finished.ref, with_note(finished.outcome, note))
    return finished
