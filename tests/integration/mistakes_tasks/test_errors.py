"""What a task raises, however strange, is one failure with the right class and a message that fits."""

import pytest

from tests.integration.jobs.stage import WorkerProcess
from tests.integration.mistakes_tasks.conftest import BadStage

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("what", "failure_class", "reason", "words"),
    [
        ("BaseException", "app", "BaseException", "at the very top"),
        ("KeyboardInterrupt", "app", "KeyboardInterrupt", ""),
        ("GeneratorExit", "app", "GeneratorExit", ""),
        ("own BaseException", "app", "_OfMyOwn", "own"),
        ("SystemExit", "app", "SystemExit", "a message"),
        ("StopIteration", "app", "StopIteration", "ended"),
        ("__str__ raises", "app", "_Rude", "its message cannot be shown"),
        ("__str__ exits", "app", "_Ruder", "its message cannot be shown"),
        ("reason is no text", "input", "404", "not found"),
        ("message is no text", "input", "NoText", "{'a': 1}"),
        ("group", "app", "ExceptionGroup", "several"),
    ],
)
def test_whatever_is_raised_is_the_tasks_failure_and_the_worker_goes_on(
    stage: BadStage, worker: WorkerProcess, what: str, failure_class: str, reason: str, words: str
) -> None:
    failure = stage.fails("raises_badly", what=what)
    assert (failure["class"], failure["reason"]) == (failure_class, reason)
    assert words in failure["message"]
    assert "bad_tasks.py" in failure["traceback"]
    stage.the_next_run_is_well(worker)


def test_a_message_of_10_mb_is_cut_and_hides_neither_the_place_nor_the_error(
    stage: BadStage, worker: WorkerProcess
) -> None:
    failure = stage.fails("raises_badly", what="10 MB message")
    assert failure["message"] == "m" * 1000
    assert len(failure["traceback"]) <= 8000
    assert "bad_tasks.py" in failure["traceback"]
    assert "ValueError: m" in failure["traceback"]
    assert worker.log.stat().st_size < 100_000
    stage.the_next_run_is_well(worker)


@pytest.mark.parametrize(
    ("what", "seconds"),
    [("no number of seconds", None), ("seconds as text", None), ("endless seconds", 366 * 86400)],
    ids=str,
)
def test_a_wish_to_wait_that_is_no_time_span_does_not_end_the_worker(
    stage: BadStage, worker: WorkerProcess, what: str, seconds: float | None
) -> None:
    failure = stage.fails("raises_badly", what=what)
    assert (failure["reason"], failure.get("after_seconds")) == ("Retry", seconds)
    stage.the_next_run_is_well(worker)
