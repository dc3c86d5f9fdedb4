"""The connection that a task is lent: psycopg2's own. While it is fenced, its transaction is ended by the
run's finish and by nothing else.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import WeakSet

import psycopg2
import psycopg2.extensions
from psycopg2.sql import Composable

from rowlock_jobs.fence.statements import ending_statement

_Connection = psycopg2.extensions.connection
_lent: "WeakSet[TaskConnection]" = WeakSet()


def _guarded(name: str) -> Callable[..., Any]:
    own = getattr(_Connection, name)

    def method(self: "TaskConnection", *args: Any, **more: Any) -> Any:
        self.refuse_if_fenced(f"connection.{name}()")
        return own(self, *args, **more)

    method.__name__ = name
    return method


class TaskConnection(_Connection):
    """`fenced`: its transaction is that of run.transaction(). `ended`: that transaction was ended by the task
    all the same.
    """

    __slots__ = ("ended", "fenced")

    def __init__(self, *args: Any, **more: Any) -> None:
        self.fenced = self.ended = False
        super().__init__(*args, **more)
        _lent.add(self)

    # Some of them roll back in passing.
    commit = _guarded("commit")
    rollback = _guarded("rollback")
    close = _guarded("close")
    reset = _guarded("reset")
    set_isolation_level = _guarded("set_isolation_level")
    set_client_encoding = _guarded("set_client_encoding")
    tpc_begin = _guarded("tpc_begin")
    tpc_prepare = _guarded("tpc_prepare")
    tpc_commit = _guarded("tpc_commit")
    tpc_rollback = _guarded("tpc_rollback")

    @property
    def autocommit(self) -> bool:
        return bool(_AUTOCOMMIT.__get__(self))

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if value:
            self.refuse_if_fenced("autocommit")
        _AUTOCOMMIT.__set__(self, value)

    def set_session(
        self,
        isolation_level: Any = None,
        readonly: Any = None,
        deferrable: Any = None,
        autocommit: Any = None,
    ) -> None:
        if autocommit:
            self.refuse_if_fenced("autocommit")
        super().set_session(isolation_level, readonly, deferrable, autocommit)

    def cursor(self, name: Any = None, cursor_factory: Any = None, *args: Any, **more: Any) -> Any:
        own: Any = self.cursor_factory
        factory = cursor_factory or own or psycopg2.extensions.cursor
        if self.fenced and isinstance(factory, type):
            factory = _fenced(factory)
        return super().cursor(name, factory, *args, **more)

    def end(self, *, commit: bool) -> None:
        """The commit or rollback that belongs to whoever lent this connection."""
        (_Connection.commit if commit else _Connection.rollback)(self)

    def run(self, statements: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """The last statement's rows, as psycopg2 has them without any change by the task (cursor factories,
        types).
        """
        with _Connection.cursor(self, cursor_factory=psycopg2.extensions.cursor) as cursor:
            cursor.execute(statements, parameters)
            return cursor.fetchall() if cursor.description else []

    def was_ended(self) -> bool:
        """Whether the server knows nothing of a transaction that psycopg2 began."""
        idle = self.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_IDLE
        return idle and self.status == psycopg2.extensions.STATUS_BEGIN

    def refuse_if_fenced(self, what: str) -> None:
        """Raises psycopg2.ProgrammingError while the transaction is the finish's to end."""
        if self.fenced:
            raise psycopg2.ProgrammingError(
                f"{what} is refused inside run.transaction(): what is written there is committed together"
                " with the run's outcome, after the task has returned, or rolled back where it raises. For"
                " transactions of your own use run.connection()"
            )


class _FencedCursor:
    """Goes before a cursor's class: refuses the statements that would end the transaction."""

    connection: TaskConnection

    def execute(self, query: Any, vars: Any = None) -> Any:  # noqa: A002 - psycopg2's names
        return self._inside(query, lambda: super(_FencedCursor, self).execute(query, vars))  # type: ignore[misc]

    def executemany(self, query: Any, vars_list: Any) -> Any:
        return self._inside(query, lambda: super(_FencedCursor, self).executemany(query, vars_list))  # type: ignore[misc]

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> Any:
        return self._inside(sql, lambda: super(_FencedCursor, self).copy_expert(sql, file, size))  # type: ignore[misc]

    def _inside(self, query: Any, execute: Callable[[], Any]) -> Any:
        connection = self.connection
        plain = connection.get_parameter_status("standard_conforming_strings") != "off"
        found = ending_statement(_text(query, connection), backslash_escapes=not plain)
        if found:
            connection.refuse_if_fenced(found)
        answer = execute()
        if connection.was_ended():
            connection.ended = True
            connection.refuse_if_fenced("a statement that ends the transaction")
        return answer


@cache
def _fenced(factory: type) -> type:
    return (
        factory
        if issubclass(factory, _FencedCursor)
        else type(factory.__name__, (_FencedCursor, factory), {})
    )


def _text(query: Any, connection: TaskConnection) -> str:
    if isinstance(query, str):
        return query
    if isinstance(query, Composable):
        return query.as_string(connection)
    return query.decode("latin-1") if isinstance(query, bytes | bytearray) else ""


def _cut_off() -> None:
    """A fork of a task's shares its parent's sockets: whatever it does with these connections must not reach
    the server.

    Not closed: libpq would say goodbye in its parent's name.
    """
    connections = [connection for connection in _lent if not connection.closed]
    if connections:
        null = os.open(os.devnull, os.O_RDWR)
        for connection in connections:
            os.dup2(null, connection.fileno())
        os.close(null)


_AUTOCOMMIT: Any = _Connection.autocommit
os.register_at_fork(after_in_child=_cut_off)
