"""A task enqueues the next run, as the worker's own login: it exists exactly if the outcome does."""

from collections.abc import Iterator

import pytest

import tests.integration.mistakes_tasks.async_tasks  # noqa: F401 - imported once here, not in every worker
from tests.integration.jobs.stage import QUEUE, Stage
from tests.services.postgres import connect
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def chained(stage: Stage) -> Iterator[Stage]:
    """A stage whose worker has the group role of the contract and nothing else."""
    with connect(stage.database) as cursor:
        cursor.execute("drop role if exists next_runs_worker")
        cursor.execute("create role next_runs_worker login in role rowlock_worker")
    stage.worker(
        database_url=stage.database.replace("//postgres@", "//next_runs_worker@"),
        imports="tests.integration.mistakes_tasks.async_tasks,tests.integration.jobs.tasks",
        tasks="nexts,noop,echo",
    )
    yield stage
    stage.close()
    stage.sql("drop role next_runs_worker")


def waiting(stage: Stage) -> list[tuple[str, object]]:
    return [
        (task, args)
        for task, args in stage.sql(
            "select task, args from rowlock.run where state = 'pending' and attempt = 1 order by task"
        )
    ]


def test_the_next_run_is_there_once_its_maker_has_succeeded(chained: Stage) -> None:
    (first,) = chained.run("nexts", next="echo", args={"n": 1})
    following = chained.wait_state(first, "succeeded")["result"]
    chained.dispatch(1)
    assert chained.wait_state(following, "succeeded")["result"]["args"] == {"n": 1}


def test_a_task_that_fails_leaves_no_next_run(chained: Stage) -> None:
    (first,) = chained.run("nexts", next="echo", **{"raise": True})
    wait_until(lambda: chained.look(first)["failure"], "it failed")
    assert chained.look(first)["failure"]["reason"] == "RuntimeError"
    assert waiting(chained) == []


def test_a_key_that_is_active_gives_no_second_run(chained: Stage) -> None:
    (active,) = chained.sql(
        "select rowlock.enqueue_v1(%s, 'echo', '{}', 'k', p_due => now() + interval '1 hour')::text", QUEUE
    )[0]
    (first,) = chained.run("nexts", next="echo", key="k")
    assert chained.wait_state(first, "succeeded")["result"] is None
    assert chained.look(active)["state"] == "pending"


def test_values_of_known_kinds_are_arguments_and_others_fail_the_run_at_once(chained: Stage) -> None:
    (first,) = chained.run("nexts", next="echo", odd="kinds")
    following = chained.wait_state(first, "succeeded")["result"]
    chained.dispatch(1)
    assert chained.wait_state(following, "succeeded")["result"]["args"] == {
        "price": "1.10",
        "on": "2026-01-02",
        "nan": "NaN",
    }
    (second,) = chained.run("nexts", next="echo", odd="object")
    wait_until(lambda: chained.look(second)["failure"], "it failed")
    failure = chained.look(second)["failure"]
    assert (failure["reason"], "is not JSON serializable" in failure["message"]) == ("NotJson", True)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"next": "echo", "queue": "demo/other"}, "is not known to the ledger"),
        ({"next": "x" * 300}, "longer than 200 bytes"),
    ],
)
def test_what_the_ledger_refuses_fails_the_run_with_its_sentence(
    chained: Stage, args: dict[str, str], words: str
) -> None:
    (first,) = chained.run("nexts", **args)
    wait_until(lambda: chained.look(first)["failure"], "it failed")
    failure = chained.look(first)["failure"]
    assert failure["class"] == "app"
    assert words in failure["message"]
