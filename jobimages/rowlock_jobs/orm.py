"""Lets the transaction of an ORM carry the finish of its run, in place of run.transaction().

from rowlock_jobs.orm import django_transaction

@task("bill")
def bill(run: Run) -> None:
    with django_transaction(run):  # commits after the function has returned, together with the outcome, or
                                   not at all
        Invoice.objects.create(order_id=run.args["order"])

The ORM's own connection is used, with its driver and its login. That login needs the finish fence: `grant
rowlock_worker to <login>`, and its database is the one of the ledger.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from typing import Any

from rowlock_jobs import logs
from rowlock_jobs.errors import FenceAway, FenceRefused
from rowlock_jobs.fence.connection import first_line
from rowlock_jobs.fence.ledger import finish_parameters
from rowlock_jobs.fence.open_blocks import OpenBlocks, left_open
from rowlock_jobs.fence.values import FinishedRun, RunnerToken
from rowlock_jobs.lost_connections import database_went_away
from rowlock_jobs.task import Run
from rowlock_ledger.statements import load_statements

_SQL = load_statements("rowlock_jobs.fence", "sql/ledger.sql", "sql/sessions.sql")
_FINISH = _SQL["finish"]
_ENQUEUE = _SQL["enqueue"]
_PIN_FINISH = _SQL["pin_finish"]


@contextmanager
def django_transaction(run: Run, using: str = "default") -> Iterator[None]:
    """Like transaction.atomic(); several blocks of a run share the one transaction, and run.transaction()
    lends a cursor in it.

    A block that raises undoes its own writes; a task that raises, or whose attempt is stale, leaves none.
    on_commit() functions run after the commit. Raises RuntimeError inside another atomic() block, or where
    run.transaction() of this run is open already.
    """
    with run._runtime.carry(("django", using), lambda: _Django(using)).block():
        yield


@contextmanager
def sqlalchemy_transaction(run: Run, make_session: Callable[[], Any]) -> Iterator[Any]:
    """The same for SQLAlchemy 2: yields a Session, made once for the run (`make_session` is a sessionmaker)
    and closed after it.

    session.commit() is refused (RuntimeError). A session that the task rolled back or closed fails the run.
    """
    with run._runtime.carry(
        ("sqlalchemy", make_session), lambda: _SqlAlchemy(make_session())
    ).block() as session:
        yield session


class _Orm:
    """A transaction of somebody else's that carries the finish (rowlock_jobs.task.Carrier)."""

    name: str

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._blocks = OpenBlocks()

    def enqueue(self, parameters: Mapping[str, Any]) -> str | None:
        """See TaskSession.enqueue()."""
        with self.transaction() as cursor:
            cursor.execute(_ENQUEUE, dict(parameters))
            ((run_id,),) = cursor.fetchall()
        return None if run_id is None else str(run_id)

    def finish(self, finished: FinishedRun, token: RunnerToken) -> str | None:
        """See TaskSession.finish()."""
        if os.getpid() != self._pid:
            raise FenceRefused("a fork of the task came back: the transaction is its parent's")
        if self._blocks:
            self.undo()
            raise left_open(self.name)
        try:
            rows = self._execute(finish_parameters([finished], token))
            if rows:
                after = self._commit()
        except Exception as error:
            lost = database_went_away(error)
            self.undo()
            said = first_line(error)
            if lost:
                raise FenceAway(
                    "the ledger's answer to the finish in the ORM's transaction was lost"
                ) from error
            if "permission denied" in said:
                said += "; the login of the ORM needs the finish fence: grant rowlock_worker to it"
            raise FenceRefused(said) from error
        if not rows:
            self.undo()
            return None
        for call in after:
            _call(call)
        return str(rows[0][1])

    def rollback(self) -> None:
        """See TaskSession.rollback()."""
        if os.getpid() == self._pid:
            self.undo()

    def transaction(self) -> AbstractContextManager[Any]:
        """A cursor in it."""
        raise NotImplementedError

    def undo(self) -> None:
        raise NotImplementedError

    def _execute(self, parameters: dict[str, Any]) -> list[Any]:
        """The rows of the finish."""
        raise NotImplementedError

    def _commit(self) -> list[Callable[[], object]]:
        """Commits; returns what is to be called then."""
        raise NotImplementedError


class _Django(_Orm):
    name = "django_transaction()"

    def __init__(self, using: str) -> None:
        super().__init__()
        self._transaction: Any = import_module("django.db.transaction")
        self._using, self._connection = using, self._transaction.get_connection(using)
        if self._connection.vendor != "postgresql":
            raise RuntimeError(
                f"Django's database {using!r} is {self._connection.vendor}: only the ledger's database can"
                " carry its finish"
            )
        self._atomic = self._transaction.atomic(using=using, durable=True)
        self._atomic.__enter__()

    @contextmanager
    def block(self) -> Iterator[None]:
        with self._blocks.one(), self._transaction.atomic(using=self._using):
            yield

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with self.block(), self._connection.cursor() as cursor:
            yield cursor

    def undo(self) -> None:
        error = RuntimeError("rolled back")
        with suppress(Exception):
            self._atomic.__exit__(RuntimeError, error, None)

    def _execute(self, parameters: dict[str, Any]) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(_PIN_FINISH)
            cursor.execute(_FINISH, parameters)
            return list(cursor.fetchall())

    def _commit(self) -> list[Callable[[], object]]:
        # Called by Django they could raise after the commit, which would look like a commit that failed.
        calls, self._connection.run_on_commit = self._connection.run_on_commit, []
        self._atomic.__exit__(None, None, None)
        return [call for _, call, *_ in calls]


class _SqlAlchemy(_Orm):
    name = "sqlalchemy_transaction()"

    def __init__(self, session: Any) -> None:
        super().__init__()
        self._session = session
        dialect = session.connection().dialect
        self._begun = session.get_transaction()
        if dialect.name != "postgresql":
            raise RuntimeError(
                f"the session's database is {dialect.name}: only the ledger's database can carry its finish"
            )
        self._event: Any = import_module("sqlalchemy.event")
        self._event.listen(session, "before_commit", self._before_commit)

    @contextmanager
    def block(self) -> Iterator[Any]:
        with self._blocks.one(), self._session.begin_nested():
            yield self._session

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with self.block():
            cursor = self._session.connection().connection.cursor()
            try:
                yield cursor
            finally:
                cursor.close()

    def undo(self) -> None:
        self._forget()
        with suppress(Exception):
            self._session.close()

    def _execute(self, parameters: dict[str, Any]) -> list[Any]:
        if self._session.get_transaction() is not self._begun:
            raise RuntimeError(
                "the task rolled its session back or closed it, so there is nothing to commit with its finish"
            )
        self._session.flush()
        connection = self._session.connection()
        for line in _PIN_FINISH.split(";"):
            if line.strip():
                connection.exec_driver_sql(line)
        return list(connection.exec_driver_sql(_FINISH, parameters).fetchall())

    def _commit(self) -> list[Callable[[], object]]:
        self._forget()
        self._session.commit()
        self._session.close()
        return []

    def _forget(self) -> None:
        with suppress(Exception):
            self._event.remove(self._session, "before_commit", self._before_commit)

    def _before_commit(self, session: Any) -> None:
        if not session.in_nested_transaction():
            raise RuntimeError(
                "the session commits with the finish of its run, after the task has returned: do not"
                " commit it"
            )


def _call(function: Callable[[], object]) -> None:
    """The run is finished: what raises here is told, and changes nothing."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - the task's own
        name = f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', '?')}"
        logs.emit(logs.HOOK_FAILED, logging.ERROR, hook=f"on_commit {name}", error=type(error).__name__)
        logging.getLogger("rowlock.task").error("on_commit %s failed", name, exc_info=error)
