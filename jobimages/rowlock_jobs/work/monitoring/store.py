"""The statements of sql/ as functions: values in, records out. Each call is one transaction of the worker
role, except where a cursor is handed in.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from rowlock_jobs.task import InputError, Run
from rowlock_jobs.work.monitoring.records import CommentRow, Model, Process
from rowlock_ledger.statements import load_statements
from rowlock_web.logins.store import Login

T = TypeVar("T", Process, Login, CommentRow, Model)


STATEMENTS = load_statements(
    "rowlock_jobs.work.monitoring",
    "sql/processes.sql",
    "sql/discovery.sql",
    "sql/comments.sql",
    "sql/logins.sql",
    "sql/gate.sql",
)


def execute(cur: Any, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """All rows of one statement on a cursor; [] where it returns none."""
    cur.execute(
        STATEMENTS[name],
        {key: json.dumps(value) if isinstance(value, dict) else value for key, value in parameters.items()},
    )
    return list(cur.fetchall()) if cur.description else []


def ask(run: Run, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """The same in a transaction of its own."""
    with run.connection() as connection, connection.cursor() as cur:
        return execute(cur, name, **parameters)


def process_of(run: Run, process_id: str) -> Process:
    """Raises InputError ProcessGone."""
    found = _records(run, Process, "process", process_id=process_id)
    if not found:
        raise InputError("ProcessGone", f"there is no monitoring process {process_id}")
    return found[0]


def logins_of(run: Run, process_id: str) -> list[Login]:
    """The logins a process names, by name."""
    return _records(run, Login, "logins", process_id=process_id)


def login_of(run: Run, login_id: str) -> Login:
    """Raises InputError LoginGone."""
    found = _records(run, Login, "login", login_id=login_id)
    if not found:
        raise InputError("LoginGone", "the login of this comment does not exist any more")
    return found[0]


def comment_of(run: Run, comment_id: str) -> CommentRow | None:
    """The row, or None where it was deleted."""
    found = _records(run, CommentRow, "comment", comment_id=comment_id)
    return found[0] if found else None


def model_of(run: Run, process_id: str) -> Model:
    """Raises InputError ModelGone."""
    found = _records(run, Model, "model", process_id=process_id)
    if not found:
        raise InputError("ModelGone", "the process has no model: apply its MonitoringProcess again")
    return found[0]


def follow_up(run: Run, task: str, queue: str, *, process_id: str = "") -> None:
    """Asks for another task, on a queue of this run's namespace; a run that waits already is enough."""
    namespace = run.queue.partition("/")[0]
    arguments = {"process_id": process_id} if process_id else {}
    ask(run, "follow_up", queue=f"{namespace}/{queue}", task=task, args=arguments, key=f"{task}:{process_id}")


def _records(run: Run, kind: Callable[..., T], name: str, **parameters: Any) -> list[T]:
    with run.connection() as connection, connection.cursor() as cur:
        cur.execute(STATEMENTS[name], parameters)
        columns = [column.name for column in cur.description]
        return [kind(**dict(zip(columns, row, strict=True))) for row in cur.fetchall()]
