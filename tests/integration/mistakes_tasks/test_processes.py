"""Tasks that end their process, leave processes behind, eat memory or do not stop: what it costs, and that
the worker lives.
"""

import json
import os
import signal

import pytest

from tests.integration.jobs.stage import WorkerProcess, process_exists
from tests.integration.mistakes_tasks.conftest import BadStage, grown_bytes
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow(85)]


@pytest.mark.parametrize(
    ("how", "failure_class", "reason", "words"),
    [
        ("os._exit(0)", "app", "ChildExited", "exit code 0 instead of returning"),
        ("execv", "app", "ChildExited", "instead of returning"),
        ("os.abort", "infra", "ChildKilled", "signal 6"),
        ("null pointer", "infra", "ChildKilled", "signal 11"),
        ("every descriptor closed", "app", "ChildExited", "closed the channel"),
        ("channel closed", "app", "ChildExited", "closed the channel"),
        ("channel shut down", "app", "ChildExited", "closed the channel"),
        ("channel replaced", "app", "ChildExited", "closed the channel"),
        ("noise in the channel", "app", "ChannelSpoiled", "file descriptor"),
        ("one byte in the channel", "app", "ChannelSpoiled", "file descriptor"),
        ("half a message in the channel", "app", "ChannelSpoiled", "file descriptor"),
        ("a number in the channel", "app", "ChannelSpoiled", "file descriptor"),
    ],
)
def test_a_task_that_ends_its_process_or_its_channel_fails_and_the_worker_goes_on(
    stage: BadStage, how: str, failure_class: str, reason: str, words: str
) -> None:
    worker = stage.worker()
    failure = stage.fails("ends", how=how)
    assert (failure["class"], failure["reason"]) == (failure_class, reason)
    assert words in failure["message"]
    stage.the_next_run_is_well(worker)


ANSWERS = [
    '["done",0,"well",null,null,"",""]',
    '["done",NaN,"succeeded",null,null,"",""]',
    '["done",0,"failed",null,"[]","app","X"]',
    '["settled",0,"pending"]',
]


def test_an_answer_of_another_shape_fails_its_run_and_the_worker_goes_on(stage: BadStage) -> None:
    worker = stage.worker()
    for answer in ANSWERS:
        failure = stage.fails("ends", how="an answer in the channel", answer=answer)
        assert (failure["class"], failure["reason"]) == ("app", "ChannelSpoiled")
    stage.the_next_run_is_well(worker)


def test_a_result_that_is_no_json_at_all_leaves_a_remark_and_is_not_asked_for_ever(stage: BadStage) -> None:
    worker = stage.worker()
    for text in ("{", "[" * 50_000 + "]" * 50_000):
        (run_id,) = stage.run(
            "ends",
            how="an answer in the channel",
            answer=json.dumps(["done", 0, "succeeded", text, None, "", ""]),
        )
        found = stage.wait_state(run_id, "succeeded")
        assert found["result"]["remark"] == "ResultNotStorable"
    stage.the_next_run_is_well(worker)


def test_a_task_finds_no_socket_but_the_channel(stage: BadStage, worker: WorkerProcess) -> None:
    """Neither the worker's own to Redis and the ledger, nor, in these tests, one of theirs."""
    stage.the_next_run_is_well(worker)
    assert stage.works("describe")["sockets"] == 1


def test_what_is_said_between_two_runs_is_neither_ones_failure(
    stage: BadStage, worker: WorkerProcess
) -> None:
    note, release = stage.folder / "note", stage.folder / "go"
    stage.works("whispers", note=str(note), release=str(release))
    before = stage.works("describe")["pid"]
    release.touch()
    wait_until(note.exists, "the thread has said something")
    (run_id,) = stage.run("describe")
    found = stage.wait_state(run_id, "succeeded")
    assert (found["attempt"], found["result"]["pid"] != before) == (1, True)
    assert worker.wait_event("child_ended")["reason"] == "UnfitIdle"


def test_an_exit_of_a_thread_is_no_exit_of_the_task(stage: BadStage, worker: WorkerProcess) -> None:
    assert stage.works("ends", how="sys.exit in a thread") is None
    stage.the_next_run_is_well(worker)


@pytest.mark.parametrize("what", ["fork", "program", "zombie", "fork that exits properly"])
def test_processes_left_behind_disturb_nobody_and_end_with_the_process_of_the_tasks(
    stage: BadStage, what: str
) -> None:
    worker = stage.worker(tasks_per_child="3")
    left = stage.works("leaves", what=what)
    stage.the_next_run_is_well(worker)
    stage.the_next_run_is_well(worker)  # the third renews the process
    wait_until(lambda: not process_exists(left), "what was left is gone")


def test_a_daemon_that_left_its_process_group_disturbs_nobody(stage: BadStage) -> None:
    """Only the end of the container ends it: a worker cannot know whom a task started on purpose."""
    worker = stage.worker(tasks_per_child="2")
    left = stage.works("leaves", what="daemon")
    try:
        stage.the_next_run_is_well(worker)
        stage.the_next_run_is_well(worker)
        worker.terminate()
        assert worker.wait() == 0
        assert process_exists(left)
    finally:
        os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize("pieces", ["large", "small"])
def test_memory_up_to_the_limit_is_the_platforms_failure_and_the_parent_stays_small(
    stage: BadStage, pieces: str
) -> None:
    worker = stage.worker()
    failure = stage.fails("eats", pieces=pieces, bytes=600_000_000)
    assert (failure["class"], failure["reason"]) == ("infra", "MemoryError")
    assert grown_bytes(worker.pid) < 60_000_000
    stage.the_next_run_is_well(worker)


@pytest.mark.parametrize("how", ["ignores SIGTERM", "blocks signals", "swallows everything", "is deep in C"])
def test_a_task_that_does_not_stop_is_killed_at_its_hard_limit(
    stage: BadStage, worker: WorkerProcess, how: str
) -> None:
    before = stage.works("describe")["pid"]
    failure = stage.fails("stays", how=how)
    assert (failure["class"], failure["reason"]) == ("app", "HardTimeLimit")
    assert "3 s" in failure["message"]
    assert not process_exists(before)
    stage.the_next_run_is_well(worker)


def test_a_pod_that_must_end_does_not_wait_for_a_task_that_ignores_sigterm(stage: BadStage) -> None:
    worker = stage.worker(grace_seconds="1")
    (run_id,) = stage.run("stays", how="blocks signals")
    stage.wait_state(run_id, "running")
    worker.wait_event("run_started")
    worker.terminate()
    assert worker.wait(15) == 0
    found = stage.look(run_id)
    assert (found["state"], found["infra_tries"], found["app_tries"]) == ("pending", 1, 0)
