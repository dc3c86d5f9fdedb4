"""What an application may do around its runs, and with the connections that its libraries keep."""

import psycopg
import psycopg2
import pytest
import sqlalchemy
from sqlalchemy import create_engine, text

from rowlock_jobs.errors import Retry
from rowlock_jobs.lost_connections import database_went_away
from tests.integration.jobs.stage import Stage, WorkerProcess
from tests.services.postgres import connect

pytestmark = pytest.mark.integration
NO_RETRIES = '{"infra": {"limit": 0}, "app": {"limit": 0}}'


@pytest.fixture
def worker(stage: Stage) -> WorkerProcess:
    return stage.worker(imports="tests.integration.jobs.hooked_tasks", tasks="says,ask_kept,alchemy")


def test_hooks_are_called_around_each_run_and_in_each_new_process(
    stage: Stage, worker: WorkerProcess
) -> None:
    said = [stage.wait_state(stage.run("says", tenant=name)[0], "succeeded")["result"] for name in ("a", "b")]
    assert [(each["tenant"], each["forked"]) for each in said] == [("a", True), ("b", True)]
    assert said[0]["pid"] == said[1]["pid"]
    assert stage.notes() == ["before", "task", "after, registered last", "after"] * 2
    stage.wait_state(stage.run("says", fails=True)[0], "dead")
    assert stage.notes()[-1] == "after", "also where the task failed"


def test_a_before_hook_that_raises_fails_its_run_as_the_task_would(
    stage: Stage, worker: WorkerProcess
) -> None:
    stage.sql("update rowlock.queue set retry = %s", NO_RETRIES)
    failure = stage.wait_state(stage.run("says", hook="before fails")[0], "dead")["failure"]
    assert (failure["reason"], failure["message"]) == ("Retry", "no tenant")
    assert stage.notes("task") == []


def test_an_after_hook_that_raises_is_told_and_costs_the_process_not_the_outcome(
    stage: Stage, worker: WorkerProcess
) -> None:
    ended = stage.wait_state(stage.run("says", hook="after fails")[0], "succeeded")
    assert ended["attempt"] == 1
    assert worker.wait_event("hook_failed")["hook"] == "tests.integration.jobs.hooked_tasks.release"
    assert stage.wait_state(stage.run("says")[0], "succeeded")["result"]["pid"] != ended["result"]["pid"]


def test_a_connection_that_is_kept_by_the_process_and_lost_costs_one_attempt(
    stage: Stage, worker: WorkerProcess
) -> None:
    first = stage.wait_state(stage.run("ask_kept")[0], "succeeded")["result"]
    stage.sql("select pg_terminate_backend(%s, 5000)", first)
    (run_id,) = stage.run("ask_kept")
    stage.wait_state(run_id, "pending")
    stage.dispatch(1)
    again = stage.wait_state(run_id, "succeeded")
    assert (again["infra_tries"], again["app_tries"]) == (1, 0)
    assert again["result"] != first


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_writes_of_sqlalchemy_and_of_run_transaction_share_the_fate_of_their_run(
    stage: Stage, worker: WorkerProcess, driver: str
) -> None:
    stage.sql("update rowlock.queue set retry = %s", NO_RETRIES)
    fates = {
        "returns": [1, 2],
        "a block fails": [1, 2],
        "raises": [],
        "commits": [],
        "rolls back": [],
        "closes": [],
    }
    seen = {}
    for end in fates:
        ended = stage.wait_state(stage.run("alchemy", driver=driver, end=end)[0], "succeeded", "dead")
        seen[end] = [attempt for (attempt,) in stage.sql("delete from written returning attempt")]
        assert (ended["state"] == "succeeded") == bool(fates[end]), ended
    assert seen == fates


def test_lost_connections_of_every_library_are_told_from_mistakes(database: str) -> None:
    """`lost`, `refused`: errors as the libraries raise them on a connection that the server ended, and on one
    that is well.
    """
    lost: list[BaseException] = []
    mistakes: list[BaseException] = []
    for driver in ("psycopg2", "psycopg"):
        engine = create_engine(database.replace("postgresql:", f"postgresql+{driver}:"))
        with engine.connect() as connection:
            mistakes += _errors(lambda: connection.execute(text("select nonsense")))  # noqa: B023
            connection.rollback()
            _end(database, connection.execute(text("select pg_backend_pid()")).scalar())
            lost += _errors(
                lambda: connection.execute(text("select 1")), lambda: connection.execute(text("select 1"))
            )  # noqa: B023
        nowhere = create_engine(f"postgresql+{driver}://nobody@127.0.0.1:1/none")
        lost += _errors(nowhere.connect)
        mistakes += _errors(lambda: sqlalchemy.Table("t", sqlalchemy.MetaData()).drop(engine))  # noqa: B023
        mistakes += _errors(
            create_engine(f"postgresql+{driver}://nobody_at_all@{database.split('@')[1]}").connect
        )
    plain = psycopg.connect(database)
    _end(database, plain.info.backend_pid)
    lost += _errors(lambda: plain.execute("select 1"), lambda: plain.execute("select 1"))
    lost += _errors(lambda: psycopg.connect("postgresql://nobody@127.0.0.1:1/none"))
    mistakes += _errors(lambda: psycopg.connect(f"{database}_that_is_not"))
    for error in lost:
        assert database_went_away(error), repr(error)
    for error in [*mistakes, Retry("again"), ValueError("connection already closed")]:
        assert not database_went_away(error), repr(error)
    assert (len(lost), len(mistakes)) == (9, 7)


def test_an_error_raised_from_a_lost_connection_is_one_but_a_word_of_the_task_itself_counts() -> None:
    cause = psycopg.OperationalError("server closed the connection unexpectedly")
    wrapped, said = RuntimeError("cannot save"), Retry("later")
    wrapped.__cause__ = said.__cause__ = cause
    assert database_went_away(wrapped)
    assert not database_went_away(said)
    wrapped.__cause__ = wrapped
    assert not database_went_away(wrapped), "a chain without an end"
    assert isinstance(cause, Exception)
    assert not isinstance(cause, psycopg2.Error)


def _errors(*calls: object) -> list[BaseException]:
    found: list[BaseException] = []
    for call in calls:
        with pytest.raises(Exception) as caught:
            call()  # type: ignore[operator]
        found.append(caught.value)
    return found


def _end(database: str, pid: int | None) -> None:
    with connect(database) as cursor:
        cursor.execute("select pg_terminate_backend(%s, 5000)", (pid,))
