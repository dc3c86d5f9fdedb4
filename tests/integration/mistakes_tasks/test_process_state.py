"""No run meets what an earlier one changed in its process."""

import atexit
import random
import tempfile
from pathlib import Path

import pytest

from rowlock_jobs.worker.process_state import ProcessState
from tests.integration.jobs.stage import WorkerProcess, process_exists
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
    "file size limit": "resource limits",
    "recursion": "recursion limit or another limit of Python",
    "nice": "priority",
    "root handlers": "logging",
    "handler of a signal": "signal handlers",
    "open loop": "event loop",
    "running loop": "event loop",
    "import path": "import path",
    "arguments": "command line",
    "profile": "tracing or profiling",
    "proxy": "network functions",
    "process group": "process group",
}
UNDONE = ("context variable", "decimal", "timers", "asyncio.run", "garbage", "warnings", "logging.disable")


def test_the_next_run_has_a_new_process_and_its_author_is_told(
    stage: BadStage, worker: WorkerProcess
) -> None:
    before, told, met = stage.works("describe"), {}, {}
    for number, what in enumerate(CHANGES, 1):
        assert stage.works("spoils", what=what, path=str(stage.folder / "gone")) == "spoiled"
        after = stage.works("describe")
        met |= {
            f"{what}: {name}": value
            for name, value in after.items()
            if value != before[name] and name != "pid"
        }
        met |= {f"{what}: same process": after["pid"]} if after["pid"] == before["pid"] else {}
        told[what] = worker.wait_event("child_changed", number)["changed"]
        before = after
    assert met == {}
    assert told == CHANGES


def test_what_nobody_can_miss_is_undone_and_the_process_stays(stage: BadStage, worker: WorkerProcess) -> None:
    before, met = stage.works("describe"), {}
    for what in UNDONE:
        assert stage.works("spoils", what=what) == "spoiled"
        after = stage.works("describe")
        met |= {f"{what}: {name}": value for name, value in after.items() if value != before[name]}
    assert met == {}
    assert worker.events("child_changed") == []


def test_a_run_that_seeds_the_random_generator_does_not_tell_the_next_ones_numbers(
    stage: BadStage, worker: WorkerProcess
) -> None:
    drawn = [stage.works("draws", seed=7) for _ in range(3)]
    assert len(set(drawn)) == 3
    assert random.Random(7).random() not in drawn
    assert worker.events("child_changed") == []


def test_the_exit_handlers_of_a_replaced_process_run(stage: BadStage, worker: WorkerProcess) -> None:
    for first in ("nothing", "raises", "exits"):
        note = stage.folder / first
        pid = stage.works("at_exit", note=str(note), first=first)
        assert stage.works("describe")["pid"] != pid
        wait_until(lambda file=note: file.exists() and file.read_text() == str(pid), "its exit handler ran")  # noqa: B023
    assert worker.events("child_ended") == []


def test_an_exit_handler_that_hangs_holds_up_nobody_and_is_killed_and_told(
    stage: BadStage, worker: WorkerProcess
) -> None:
    pid = stage.works("at_exit", note=str(stage.folder / "note"), first="hangs")
    stage.the_next_run_is_well(worker)
    assert worker.wait_event("child_ended")["reason"] == "ExitHandlersTooLong"
    wait_until(lambda: not process_exists(pid), "it is killed")


def test_exit_handlers_of_the_worker_itself_do_not_run_in_the_process_of_a_task(stage: BadStage) -> None:
    """The folder that a module made at import, to be removed at exit, is there for all of its processes."""
    folder = tempfile.TemporaryDirectory()
    removed = stage.folder / "removed"
    atexit.register(removed.touch)
    try:
        stage.worker()
        pid = stage.works("at_exit", note=str(stage.folder / "note"))
        assert stage.works("describe")["pid"] != pid
        assert Path(folder.name).exists()
        assert not removed.exists()
    finally:
        atexit.unregister(removed.touch)
        folder.cleanup()


def test_a_run_that_changes_nothing_keeps_its_process(stage: BadStage, worker: WorkerProcess) -> None:
    assert stage.works("describe") == stage.works("describe")
    assert worker.events("child_changed") == []


def test_without_the_look_the_next_customer_sees_the_variable_of_the_one_before(
    stage: BadStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative twin: workers of these tests are forks, so the guard can be taken out of them."""
    monkeypatch.setattr(ProcessState, "changed", lambda _self: [])
    stage.worker()
    stage.works("spoils", what="variable")
    assert stage.works("describe")["variable"] == "of the customer before"


def test_a_thread_that_outlives_its_task_cannot_use_the_run_any_more(
    stage: BadStage, worker: WorkerProcess
) -> None:
    note, release = stage.folder / "note", stage.folder / "go"
    assert stage.works("outlives", note=str(note), release=str(release)) == "returned"
    assert stage.works("describe")["threads"] == 2, "it is there beside the next run"
    release.touch()
    stage.works("describe")
    worker.wait_event("run_finished", 3)
    wait_until(note.exists, "the thread tried")
    wait_until(
        lambda: note.read_text() == "StaleAttempt,StaleAttempt,StaleAttempt,StaleAttempt",
        "it was refused each time",
    )
    worker.terminate()
    assert worker.wait() == 0, "a thread that never ends keeps no worker from ending"
