"""Whether an error of a database library says that the database went away: known by names, so that none of
them is imported here.
"""

import re
from collections.abc import Iterator
from typing import Any

from rowlock_jobs.errors import TaskError

_STATES = ("08", "57P")  # connection exception; shutdown, crash, starting up
# A server that answered and refused the login says the same in an hour.
_REFUSED = re.compile(
    r"authentication failed|does not exist|no pg_hba\.conf entry|permission denied|no password supplied",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"connection (is |was |has been )?(already )?(closed|lost|terminated)", re.IGNORECASE)
_MYSQL = frozenset({1053, 1927, 2002, 2003, 2006, 2013, 2055})
_ASYNCPG = frozenset(
    {
        "ConnectionDoesNotExistError",
        "ConnectionFailureError",
        "CannotConnectNowError",
        "AdminShutdownError",
        "CrashShutdownError",
    }
)
_FRAMEWORKS = ("django.", "sqlalchemy.")
_CONNECT = re.compile(r"connection to server|could not (connect|translate host name)")
_LONGEST_CHAIN = 10


def database_went_away(error: BaseException) -> bool:
    """For errors of psycopg2, psycopg 3, asyncpg, MySQL's drivers, Django and SQLAlchemy, and for those
    raised `from` one of them. What a task says itself (a TaskError) counts as it is said.
    """
    if isinstance(error, TaskError):
        return False
    by_framework = False
    for each in _chain(error):
        if _lost(each) and not _says_another(each, by_framework):
            return True
        by_framework = by_framework or type(each).__module__.startswith(_FRAMEWORKS)
    return False


def connection_is_closed(error: BaseException) -> bool:
    """Whether an error says that a connection is closed: by the task itself, or lost in an earlier run and
    kept since, nobody can tell.
    """
    return any(_CLOSED.search(_text(each)) for each in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if found is None:
            return
        yield found
        orig = getattr(found, "orig", None)  # SQLAlchemy's
        found = orig if isinstance(orig, BaseException) else found.__cause__


def _lost(error: BaseException) -> bool:
    names = {(each.__module__.partition(".")[0], each.__name__) for each in type(error).__mro__}
    if ("psycopg", "OperationalError") in names or ("psycopg2", "OperationalError") in names:
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
        return state.startswith(_STATES) or not state and not _refused(error)
    if ("django", "InterfaceError") in names or ("django", "OperationalError") in names:
        # Django makes its connections anew by itself: only a lost one is closed
        return bool(_CLOSED.search(_text(error)))
    if ("sqlalchemy", "DBAPIError") in names:
        return bool(getattr(error, "connection_invalidated", False)) and not _refused(error)
    if ("sqlalchemy", "PendingRollbackError") in names:
        return "invalid transaction" in _text(error)
    if any(package == "asyncpg" and name in _ASYNCPG for package, name in names):
        return True
    if any(
        package in ("MySQLdb", "pymysql", "mysql") and name == "OperationalError" for package, name in names
    ):
        code: Any = error.args[0] if error.args else None
        return code in _MYSQL
    return False


def _says_another(error: BaseException, by_framework: bool) -> bool:
    """Whether it is the word of another server: passed on by one that is well (a foreign table, dblink), or
    the answer to a psycopg2.connect() of the task's own. A framework connects anew by itself, so there it is
    a loss.
    """
    if not type(error).__module__.startswith("psycopg2"):
        return False
    cursor: Any = getattr(error, "cursor", None)
    if cursor is not None:
        return not cursor.connection.closed
    return not by_framework and bool(_CONNECT.match(_text(error)))


def _refused(error: BaseException) -> bool:
    """Errors without a code that are no loss: a login refused, or one connection used by two threads at
    once.
    """
    text = _text(error)
    return "another command is already in progress" in text or "FATAL" in text and bool(_REFUSED.search(text))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - somebody else's __str__
        return ""
