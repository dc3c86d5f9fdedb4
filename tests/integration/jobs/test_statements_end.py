"""A statement of a task ends with its task: when its process is killed, when the worker is, and at the soft
limit.
"""

import psycopg2
import pytest

from rowlock_jobs.fence import pool
from rowlock_jobs.worker.lease import Lease
from tests.integration.jobs.stage import Stage
from tests.services.pgbouncer import PgBouncer
from tests.services.process import wait_until

pytestmark = pytest.mark.integration
AT_WORK = (
    "select pid from pg_stat_activity where query like 'select pg_sleep(600)%' and state = 'active' and"
    " datname = current_database()"
)


@pytest.fixture(params=["direct", "pgbouncer"])
def url(stage: Stage, pgbouncer: PgBouncer, request: pytest.FixtureRequest) -> str:
    stage.sql("create table held(by int)")
    stage.sql("insert into held values (0)")
    return pgbouncer.url(stage.database) if request.param == "pgbouncer" else stage.database


def waiting(stage: Stage, **args: object) -> str:
    """A run that holds a lock and waits in a statement."""
    (run_id,) = stage.run("queries", **args)
    stage.wait_note("waits")
    wait_until(lambda: stage.sql(AT_WORK), "its statement is at work")
    return run_id


@pytest.fixture
def server_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of these tests are forks: their sessions leave it to their parent."""
    monkeypatch.setattr(pool, "_PIN", pool._PIN.replace("check_interval = 1000", "check_interval = 0"))


@pytest.mark.usefixtures("server_does_not_look")
def test_what_a_killed_task_left_at_work_does_not_hold_up_its_own_retry(stage: Stage, url: str) -> None:
    stage.worker(database_url=url, soft_seconds="1", hard_seconds="1")
    run_id = waiting(stage)
    stage.dispatch(1)
    assert stage.wait_state(run_id, "succeeded", "dead")["attempt"] == 2
    assert stage.sql("select by from held") == [(2,)]
    assert stage.sql(AT_WORK) == []


def test_what_a_killed_task_left_at_work_on_a_connection_of_its_own_ends_too(stage: Stage) -> None:
    stage.sql("create table held as select 0 as by")
    stage.worker(soft_seconds="1", hard_seconds="1")
    run_id = waiting(stage, own=stage.database)
    stage.dispatch(1)
    assert stage.wait_state(run_id, "succeeded", "dead")["attempt"] == 2
    assert stage.sql(AT_WORK) == []


@pytest.mark.usefixtures("server_does_not_look")
def test_without_its_end_the_statement_of_a_killed_task_goes_on_and_starves_the_retry(
    stage: Stage, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative twin."""
    monkeypatch.setattr(Lease, "end_sessions", lambda *_: None)
    stage.worker(database_url=url, soft_seconds="1", hard_seconds="1")
    run_id = waiting(stage)
    stage.dispatch(1)
    wait_until(
        lambda: (stage.look(run_id)["failure"] or {}).get("attempt") == 2, "the retry was killed as well"
    )
    assert stage.sql(AT_WORK) != []
    stage.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep(600)%%' and"
        " pid <> pg_backend_pid()"
    )


def test_what_a_killed_worker_left_at_work_is_ended_by_the_server_itself(stage: Stage, url: str) -> None:
    worker = stage.worker(database_url=url)
    waiting(stage)
    worker.kill()
    wait_until(lambda: not stage.sql(AT_WORK), "the server noticed", 15)


def test_the_soft_limit_reaches_a_statement_and_kills_no_process(stage: Stage, url: str) -> None:
    stage.worker(database_url=url, soft_seconds="1", hard_seconds="60")
    run_id = waiting(stage)
    wait_until(lambda: stage.look(run_id)["failure"], "it ended", 15)
    assert (stage.look(run_id)["failure"]["class"], stage.look(run_id)["failure"]["reason"]) == (
        "app",
        "SoftTimeLimit",
    )
    stage.dispatch(1)
    stage.wait_state(run_id, "succeeded")
    assert stage.workers[0].events("child_ended") == [], "nobody was killed for it"


def test_the_soft_limit_reaches_a_statement_on_a_connection_of_the_tasks_own(stage: Stage) -> None:
    stage.sql("create table held as select 0 as by")
    stage.worker(soft_seconds="1", hard_seconds="60")
    run_id = waiting(stage, own=stage.database)
    wait_until(lambda: stage.look(run_id)["failure"], "it ended", 15)
    assert (stage.look(run_id)["failure"]["class"], stage.look(run_id)["failure"]["reason"]) == (
        "app",
        "SoftTimeLimit",
    )
    assert stage.workers[0].events("child_ended") == [], "nobody was killed for it"


def test_what_the_task_does_after_its_soft_limit_is_left_alone(stage: Stage, url: str) -> None:
    stage.worker(database_url=url, soft_seconds="1", hard_seconds="60")
    run_id = waiting(stage, tidies=True)
    stage.wait_note("tidied")
    wait_until(lambda: stage.look(run_id)["failure"], "it ended")
    assert stage.look(run_id)["failure"]["reason"] == "SoftTimeLimit"


def test_nobody_elses_session_is_ended(stage: Stage, url: str) -> None:
    stage.worker(database_url=url, soft_seconds="1", hard_seconds="1")
    other = psycopg2.connect(stage.database, application_name="rowlock-task")
    other.cursor().execute("select 1")
    run_id = waiting(stage)
    wait_until(lambda: stage.look(run_id)["failure"], "it was killed")
    stage.dispatch(1)
    stage.wait_state(run_id, "succeeded")
    other.cursor().execute("select 1")
    other.close()
