"""A process's connections for its tasks: lent to one run after another, each time as clean as a new one.

Clean is certain, not hoped for: what PostgreSQL keeps in a session is reset by one statement, what psycopg2
keeps is set anew, and a connection that anything of the run still refers to (a thread, a generator, a cursor
in a global) is closed instead.
"""

import os
import re
import socket
import sys
import time
import weakref
from contextlib import suppress

import psycopg2
import psycopg2.extensions

from rowlock_jobs.fence import libpq
from rowlock_jobs.fence.connection import (
    FenceConnection,
    connect_as,
    without_transaction_timeout,
)
from rowlock_jobs.fence.guard import TaskConnection
from rowlock_jobs.fence.ledger import Ledger
from rowlock_jobs.secret_files import Address
from rowlock_ledger.statements import load_statements

_SQL = load_statements("rowlock_jobs.fence", "sql/sessions.sql")
_PIN = _SQL["pin_task"] + ";"
_RESET = _SQL["reset_task"] + ";"
_RESET_POOLED = _SQL["reset_pooled"]
_OWN_PROCESS = _SQL["own_process"]
_GIVEN_AT_START = _SQL["given_at_start"]
_SETTING = re.compile(r"^set \S+ (\w+) = '?(.*?)'?;$", re.MULTILINE)  # name and value of a line of a pin
_NAME = "application_name"
# The pins as options of a session's start: RESET ALL leaves them as they are. Not the name: a pooler that
# knows this option would leave a process's own name on a server session that is somebody else's by then.
_OPTIONS = " ".join(
    f"-c {name}=" + value.replace(" ", "\\ ") for name, value in _SETTING.findall(_PIN) if name != _NAME
)
_POOLED_NAME = "rowlock-task"  # a pooler may leave it on a server session that is somebody else's by then
_LOOK_AFTER_SECONDS = 2.0
# The worker that took this run is logged in. So a login that is refused is one that changes just now: the
# Secret follows within a minute or two, and the run need not fail for it.
LOGIN_PATIENCE_SECONDS = 150.0
_KEPT = 2  # one for run.transaction(), one for run.connection()


class ConnectionPool:
    """Not for two runs at once. `ledger`: for the effects of tasks, on a connection of its own."""

    def __init__(self, address: Address, application_name: str = _POOLED_NAME) -> None:
        self._address, self._application_name = address, application_name
        self._idle: list[BorrowedConnection] = []
        self._takes_options = True
        self.ledger = Ledger(
            FenceConnection(address, _POOLED_NAME, login_patience_seconds=LOGIN_PATIENCE_SECONDS)
        )

    def _connect(self) -> "BorrowedConnection":
        """With _OPTIONS where they are taken. A pooler may refuse them, each in words of its own: so after
        any failure once more without; what comes of that counts.
        """
        if self._takes_options:
            try:
                return BorrowedConnection(self._address, self._application_name, _OPTIONS)
            except psycopg2.OperationalError:
                pass
        connected = BorrowedConnection(self._address, self._application_name)
        self._takes_options = False
        return connected

    def lend(self) -> "BorrowedConnection":
        """A living, clean connection. Raises psycopg2.OperationalError where the database is away."""
        with suppress(IndexError):
            kept = self._idle.pop()
            if kept.lives():
                return kept
            kept.drop()
        new = self._connect()
        new.count_references()
        return new

    def take_back(self, borrowed: "BorrowedConnection") -> None:
        """Keeps it for the next run where it could be made clean."""
        if len(self._idle) < _KEPT and borrowed.is_free() and borrowed.clean():
            self._idle.append(borrowed)
        else:
            borrowed.drop()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().drop()
        self.ledger.connection.close()


class BorrowedConnection:
    """One connection, and what must be so while a run has it."""

    def __init__(self, address: Address, application_name: str, options: str = "") -> None:
        self.connection = connect_as(
            TaskConnection,
            address,
            _POOLED_NAME,
            login_patience_seconds=0.0 if options else LOGIN_PATIENCE_SECONDS,
            options=options,
        )
        self._set_anew()
        server_process = self.connection.run(_OWN_PROCESS)[0][0]
        self._is_pooled = server_process != self.connection.get_backend_pid()
        self.connection.end(commit=False)
        scope = "local" if self._is_pooled else "session"
        self._pin = _PIN.format(scope=scope, session_name=application_name) + "\n"
        self._pin += without_transaction_timeout(self.connection, scope)
        self._reset = ""  # between two runs, where the session is ours alone
        if not self._is_pooled:
            self._reset = f"{_RESET}\n{self._pin_session(with_options=bool(options))}"
        self._references = (0, 0)
        self._cleaning = False  # whether its answer to the reset was not read yet
        self._used_at = time.monotonic()

    def _pin_session(self, *, with_options: bool) -> str:
        """Pins a session that is ours alone; returns the pins that RESET ALL undoes: all but those with which
        the session began, where the server took _OPTIONS. (One that only equals the server's default today
        changes with the server's configuration.)
        """
        began = {name for (name,) in self.connection.run(_GIVEN_AT_START)} - {_NAME} if with_options else ()
        self.connection.run(self._pin)
        self.connection.end(commit=True)
        pins = self._pin.splitlines()
        return "\n".join(pin for pin in pins if not any(name in began for name, _ in _SETTING.findall(pin)))

    def begin(self) -> None:
        """Before the first statement of a block. Behind a pooler, whatever anybody has left in the session is
        undone first.
        """
        if self._is_pooled and self.connection.status == psycopg2.extensions.STATUS_READY:
            self.connection.run(_RESET_POOLED + ";\n" + self._pin)

    def end(self, *, commit: bool) -> None:
        """Ends the transaction. Behind a pooler the session is cleaned before somebody else can have it."""
        connection = self.connection
        if not self._is_pooled or connection.status != psycopg2.extensions.STATUS_BEGIN:
            connection.end(commit=commit)
            return
        connection.run("commit and chain" if commit else "rollback and chain")
        try:
            connection.run(_RESET_POOLED)
            connection.end(commit=True)
        except psycopg2.Error:
            self.drop()  # what was to be committed is

    def lives(self) -> bool:
        """Whether it is clean by now and the server still answers; that is asked only after a while without
        use.
        """
        if self._cleaning and not self._cleaned():
            return False
        if self._is_pooled or time.monotonic() - self._used_at <= _LOOK_AFTER_SECONDS:
            return not self.connection.closed
        try:
            self.connection.run(_OWN_PROCESS)
            self.connection.end(commit=False)
        except psycopg2.Error:
            return False
        return True

    @property
    def is_lost(self) -> bool:
        """Whether the server or the network ended it, rather than the task."""
        return self.connection.closed > 1

    def count_references(self) -> None:
        """Remembers how many there are while nobody has it."""
        self._references = self._count()

    def is_free(self) -> bool:
        """Whether nothing but this object can reach the connection (each cursor refers to its own)."""
        return self._count() == self._references

    def _count(self) -> tuple[int, int]:
        return sys.getrefcount(self.connection), weakref.getweakrefcount(self.connection)

    def clean(self) -> bool:
        """Undoes what a run did to it, or begins to: the server does it while the next run begins, `lives`
        says whether it has. False where that is not possible.
        """
        connection = self.connection
        try:
            if connection.closed:
                return False
            connection.end(commit=False)
            self._set_anew()
            if not self._is_pooled:
                seed = int.from_bytes(os.urandom(6), "big") / 2**47 - 1
                self._cleaning = libpq.send(connection, self._reset.format(seed=seed))
                if not self._cleaning:
                    return False
        except psycopg2.Error:
            return False
        self._used_at = time.monotonic()
        return True

    def _cleaned(self) -> bool:
        self._cleaning = False
        return libpq.succeeded(self.connection)

    def drop(self) -> None:
        """Closes it under whatever still uses it; a thread's statement that is at work is not waited for."""
        connection = self.connection
        connection.fenced = False
        with suppress(psycopg2.Error, OSError):
            if connection.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_ACTIVE:
                with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as shared:
                    shared.shutdown(socket.SHUT_RDWR)
        with suppress(psycopg2.Error):
            connection.close()

    def _set_anew(self) -> None:
        """What psycopg2 keeps. Each BEGIN says its isolation: behind a pooler nothing else would."""
        connection = self.connection
        connection.fenced = connection.ended = False
        connection.set_session(
            isolation_level="READ COMMITTED", readonly=False, deferrable=False, autocommit=False
        )
        connection.cursor_factory = None  # type: ignore[assignment]
        connection.notices, connection.notifies = [], []
        connection.string_types.clear()
        connection.binary_types.clear()
        if connection.encoding != "UTF8":
            connection.set_client_encoding("UTF8")
