"""Hooks of an application, and a connection that a library keeps for its whole process."""

import contextlib
import contextvars
import os
from typing import Any

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from rowlock_jobs.hooks import after_fork, after_run, before_run
from rowlock_jobs.orm import sqlalchemy_transaction
from rowlock_jobs.task import Permanent, Retry, Run, task

NAMES = "says,ask_kept,alchemy"
TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")
_forked_in = 0
_kept: list[Any] = []


@after_fork
def opened() -> None:
    global _forked_in
    _forked_in = os.getpid()


@before_run
def bind(run: Run) -> None:
    if run.args.get("hook") == "before fails":
        raise Retry("no tenant")
    TENANT.set(str(run.args.get("tenant")))
    _note(run, "before")


@after_run
def release(run: Run) -> None:
    _note(run, "after")
    if run.args.get("hook") == "after fails":
        raise ValueError("in after_run")


@after_run
def first(run: Run) -> None:
    _note(run, "after, registered last")


@task("says")
def says(run: Run) -> dict[str, Any]:
    _note(run, "task")
    with run.transaction() as cursor:
        cursor.execute("insert into written(run) values (%s)", (run.id,))
    if run.args.get("fails"):
        raise Permanent("on purpose")
    return {"tenant": TENANT.get(), "forked": _forked_in == os.getpid(), "pid": os.getpid()}


@task("ask_kept")
def ask_kept(run: Run) -> int:
    """By a connection that is made once a process."""
    if not _kept:
        _kept.append(
            psycopg.connect(os.environ["ROWLOCK_DATABASE_URL"], application_name="kept", autocommit=True)
        )
    return int(_kept[0].execute("select pg_backend_pid()").fetchone()[0])


@task("alchemy")
def alchemy(run: Run) -> str:
    url = os.environ["ROWLOCK_DATABASE_URL"].replace("postgresql:", f"postgresql+{run.args['driver']}:")
    sessions = sessionmaker(create_engine(url))
    with sqlalchemy_transaction(run, sessions) as session:
        session.execute(text("insert into written(attempt) values (1)"))
    with run.transaction() as cursor:
        cursor.execute("insert into written(attempt) values (2)")
    match run.args["end"]:
        case "raises":
            raise Permanent("after its writes")
        case "commits":
            session.commit()
        case "rolls back":
            session.rollback()
        case "closes":
            session.close()
        case "a block fails":
            with contextlib.suppress(ValueError), sqlalchemy_transaction(run, sessions):
                session.execute(text("insert into written(attempt) values (3)"))
                raise ValueError("undone alone")
    return "returned"


def _note(run: Run, text: str) -> None:
    with open(run.args["journal"], "a") as journal:
        journal.write(text + "\n")
