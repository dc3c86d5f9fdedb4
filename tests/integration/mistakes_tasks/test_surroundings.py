"""No run meets what an earlier one changed in its process."""

from typing import Any

import pytest

from rowlock_jobs.worker.surroundings import Surroundings
from tests.integration.jobs.stage import WorkerProcess
from tests.integration.mistakes_tasks.conftest import BadStage
from tests.services.process import wait_until

pytestmark = pytest.mark.integration
CHANGES = {
    "folder": "working directory",
    "folder that is gone": "working directory",
    "variable": "environment",
    "locale": "locale",
    "umask": "umask",
    "signals": "blocked signals",
    "SIGCHLD": "signal handlers",
    "socket timeout": "default socket timeout",
    "memory limit": "resource limits",
}


def without_pid(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "pid"}


@pytest.mark.parametrize("what", CHANGES)
def test_the_next_run_has_a_new_process_and_its_author_is_told(stage: BadStage, worker: WorkerProcess, what: str) -> None:
    before = stage.works("describe")
    assert stage.works("spoils", what=what, path=str(stage.folder / "gone")) == "spoiled"
    after = stage.works("describe")
    assert without_pid(after) == without_pid(before)
    assert after["pid"] != before["pid"]
    told = worker.wait_event("child_changed")
    assert (told["changed"], told["task"]) == (CHANGES[what], "spoils")


def test_a_run_that_changes_nothing_keeps_its_process(stage: BadStage, worker: WorkerProcess) -> None:
    assert stage.works("describe") == stage.works("describe")
    assert worker.events("child_changed") == []


def test_without_the_look_the_next_customer_sees_the_variable_of_the_one_before(stage: BadStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative twin: workers of these tests are forks, so the guard can be taken out of them."""
    monkeypatch.setattr(Surroundings, "changed", lambda _self: [])
    stage.worker()
    stage.works("spoils", what="variable")
    assert stage.works("describe")["variable"] == "of the customer before"


def test_a_thread_that_outlives_its_task_cannot_use_the_run_any_more(stage: BadStage, worker: WorkerProcess) -> None:
    note, release = stage.folder / "note", stage.folder / "go"
    assert stage.works("outlives", note=str(note), release=str(release)) == "returned"
    assert stage.works("describe")["threads"] == 2, "it is there beside the next run"
    release.touch()
    stage.works("describe")
    worker.wait_event("run_finished", 3)
    wait_until(note.exists, "the thread tried")
    wait_until(lambda: note.read_text() == "StaleAttempt,StaleAttempt,StaleAttempt,StaleAttempt", "it was refused each time")
    worker.terminate()
    assert worker.wait() == 0, "a thread that never ends keeps no worker from ending"
