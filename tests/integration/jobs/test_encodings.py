"""Databases whose encoding is not UTF8: what has the characters works, what lacks one is told, and no worker
ends for a value.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.jobs.stage import Stage, WorkerProcess
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.redis import RedisServer

pytestmark = pytest.mark.integration
TASKS = "says,writes_oddly,fails_oddly,progresses_oddly,effect_oddly,задача"


@pytest.fixture(scope="module")
def odd(
    postgres: PostgresServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Stage, WorkerProcess]]:
    """One worker on a database in LATIN1, for all of these tests."""
    stage = Stage(postgres.new_database(encoding="LATIN1"), redis_server.url, tmp_path_factory.mktemp("odd"))
    stage.redis.flushall()
    worker = stage.worker(imports="tests.integration.jobs.odd_tasks", tasks=TASKS)
    yield stage, worker
    assert worker.poll() is None
    assert "run_abandoned" not in worker.log.read_text()
    stage.close()


def test_characters_that_the_encoding_has_are_kept(odd: tuple[Stage, WorkerProcess]) -> None:
    stage, _ = odd
    (run_id,) = stage.run("says", said="café ÿ ½")
    assert stage.wait_state(run_id, "succeeded")["result"] == {"said": "café ÿ ½", "more": "plain"}


def test_a_result_that_the_encoding_cannot_hold_succeeds_with_a_remark(
    odd: tuple[Stage, WorkerProcess],
) -> None:
    stage, _ = odd
    (run_id,) = stage.run("says", odd=True)
    result = stage.wait_state(run_id, "succeeded")["result"]
    assert result["remark"] == "ResultNotStorable"
    assert "no equivalent in encoding" in result["message"]


def test_such_a_result_does_not_take_the_writes_of_the_tasks_transaction_with_it(
    odd: tuple[Stage, WorkerProcess],
) -> None:
    stage, _ = odd
    (run_id,) = stage.run("writes_oddly")
    ended = stage.wait_state(run_id, "succeeded")
    assert (ended["result"]["remark"], ended["attempt"]) == ("ResultNotStorable", 1)
    assert stage.sql("select attempt from written where run = %s", run_id) == [(1,)]


@pytest.mark.parametrize(
    ("kind", "state", "failure_class", "reason", "message"),
    [
        ("message", "pending", "app", "ValueError", r"cost: 5 \u20ac \u4e16\u754c"),
        (
            "class",
            "pending",
            "app",
            r"\u041e\u0448\u0438\u0431\u043a\u0430",
            r"\u043f\u0440\u0438\u0432\u0435\u0442",
        ),
        ("reason", "dead", "input", r"\u041d\u0435\u0432\u0435\u0440\u043d\u043e", r"5 \u20ac"),
        ("permanent", "dead", "app", "Permanent", r"\U0001f642"),
    ],
)
def test_a_failure_keeps_its_class_and_says_the_characters_by_their_numbers(
    odd: tuple[Stage, WorkerProcess], kind: str, state: str, failure_class: str, reason: str, message: str
) -> None:
    stage, _ = odd
    (run_id,) = stage.run("fails_oddly", kind=kind)
    wait_until(lambda: stage.look(run_id)["failure"], "the failure is recorded")
    failure = stage.wait_state(run_id, state)["failure"]
    assert (failure["class"], failure["reason"], failure["message"]) == (failure_class, reason, message)


def test_progress_and_effects_that_cannot_be_stored_end_no_worker(odd: tuple[Stage, WorkerProcess]) -> None:
    stage, _ = odd
    (slow,) = stage.run("progresses_oddly", seconds=3.5)
    assert stage.wait_state(slow, "succeeded")["result"] == "done"
    stage.run("effect_oddly")
    (run_id,) = stage.run("says")
    stage.wait_state(run_id, "succeeded")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_database_without_an_encoding_is_refused_at_the_start(
    postgres: PostgresServer, database: str, redis_url: str, tmp_path: Path, processes: str
) -> None:
    stage = Stage(database, redis_url, tmp_path)
    try:
        url = postgres.new_database(ledger=False, encoding="SQL_ASCII")
        worker = stage.worker(database_url=url, processes=processes, ready=False)
        assert worker.wait() == 2
        said = worker.events("settings_refused")[0]["error"]
        assert "ROWLOCK_DATABASE_URL" in said
        assert "SQL_ASCII" in said
        assert "Traceback" not in worker.log.read_text()
    finally:
        stage.close()
