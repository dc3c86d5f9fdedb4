"""`async def` tasks run, and their limits reach them; a soft limit that something took for itself is told."""

from pathlib import Path
from typing import Any

import pytest

import tests.integration.mistakes_tasks.async_tasks  # noqa: F401 - imported once here, not in every worker
from tests.integration.jobs.stage import WorkerProcess
from tests.integration.mistakes_tasks.async_tasks import NAMES
from tests.integration.mistakes_tasks.conftest import BadStage
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def worker(stage: BadStage) -> WorkerProcess:
    return stage.worker(
        imports="tests.integration.mistakes_tasks.async_tasks",
        tasks=",".join(NAMES),
        soft_seconds="0.4",
        hard_seconds="2.5",
    )


def note(stage: BadStage, name: str = "note") -> Path:
    return stage.folder / name


def lines(stage: BadStage, name: str = "note") -> list[str]:
    return note(stage, name).read_text().split("\n")[:-1] if note(stage, name).exists() else []


@pytest.mark.usefixtures("worker")
def test_a_coroutine_is_awaited_however_it_is_wrapped(stage: BadStage) -> None:
    assert stage.works("wrapped") == "awaited"
    assert stage.works("waits", how="leaves a task", note=str(note(stage))) == "returned"
    assert lines(stage) == ["begun", "left", "inner ended"]


@pytest.mark.usefixtures("worker")
def test_what_a_coroutine_raises_is_its_failure(stage: BadStage) -> None:
    failure = stage.fails("waits", how="raises", note=str(note(stage)))
    assert (failure["class"], failure["reason"], failure["message"]) == (
        "app",
        "ValueError",
        "in a coroutine",
    )
    assert "raise ValueError" in failure["traceback"]
    failure = stage.fails("waits", how="cancels itself", note=str(note(stage)))
    assert (failure["class"], failure["reason"]) == ("app", "CancelledError")


def test_the_soft_limit_reaches_a_coroutine_wherever_it_waits(stage: BadStage, worker: WorkerProcess) -> None:
    for how in ("sleep", "task group", "gather", "wait_for", "busy", "other task is busy", "thread"):
        failure = stage.fails("waits", how=how, note=str(note(stage, how)))
        assert (how, failure["class"], failure["reason"]) == (how, "app", "SoftTimeLimit")
        said = lines(stage, how)
        assert (said[0], said[-1]) == ("begun", "left")
        assert ("soft limit" in said) == (how != "task group"), "a task group makes a group of it"
        assert ("inner ended" in said) == (how in ("task group", "gather"))
    assert stage.works("waits", how="sleep", tidies=True, note=str(note(stage))) == "tidied"
    assert worker.events("child_ended") == [], "none had to be killed"


def test_a_canceled_coroutine_ends_where_it_waits(stage: BadStage) -> None:
    worker = stage.worker(
        imports="tests.integration.mistakes_tasks.async_tasks",
        tasks=",".join(NAMES),
        cancel_grace_seconds="30",
    )
    (run_id,) = stage.run("waits", how="gather", note=str(note(stage)))
    wait_until(lambda: lines(stage), "it has begun")
    stage.sql("select rowlock.cancel_v1(array[%s]::uuid[])", run_id)
    stage.wait_state(run_id, "canceled")
    assert lines(stage) == ["begun", "inner ended", "canceled", "left"]
    assert worker.events("child_ended") == []


@pytest.mark.parametrize(("how", "lost"), [("handler", True), ("timer", True), ("puts back", False)])
def test_a_soft_limit_that_a_library_took_for_itself_is_told(
    stage: BadStage, worker: WorkerProcess, how: str, lost: bool
) -> None:
    assert stage.works("takes_the_alarm", how=how) == "done"
    stage.works("wrapped")
    assert len(worker.events("soft_limit_lost")) == int(lost)


@pytest.mark.usefixtures("worker")
def test_a_hard_limit_that_no_soft_one_came_before_says_why(stage: BadStage) -> None:
    failure: dict[str, Any] = stage.fails("takes_the_alarm", how="timer", stays=True)
    assert failure["reason"] == "HardTimeLimit"
    assert "its soft limit of 0.4 s never reached it" in failure["message"]
