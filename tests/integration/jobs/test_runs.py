"""What a run gets, what its outcome becomes, and what a process that dies under it means."""

import os
import signal
from typing import Any

import pytest

from tests.integration.jobs.stage import RQ_QUEUE, Stage, process_exists
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def warm(stage: Stage) -> Stage:
    """A stage with one worker whose child is renewed after three tasks."""
    stage.worker(tasks_per_child="3", soft_seconds="0.5", hard_seconds="1.5")
    return stage


def test_a_task_gets_its_arguments_and_returns_json(warm: Stage) -> None:
    (run_id,) = warm.run("echo", number=7, text="grüße \U0001f600")
    found = warm.wait_state(run_id, "succeeded")
    result = found["result"]
    assert result["args"] == {"journal": str(warm.journal), "number": 7, "text": "grüße \U0001f600"}
    assert (result["attempt"], result["tries"], result["queue"], result["key"]) == (1, 0, "demo/jobs", None)


def test_a_child_serves_several_runs_and_is_renewed_after_tasks_per_child(warm: Stage) -> None:
    ids = warm.run("echo", 7)
    warm.wait_ended(ids)
    pids = [line.split()[2] for line in warm.notes("echo")]
    # The first child of this worker serves three, the second three, the third one.
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]
    wait_until(
        lambda: not any(process_exists(int(pid)) for pid in dict.fromkeys(pids[:6])),
        "the old children have ended",
    )


@pytest.mark.parametrize(
    ("error", "failure", "tries"),
    [
        ("Retry", {"class": "app", "reason": "Retry", "message": "again", "after_seconds": 77.0}, (0, 1, 0)),
        (
            "Permanent",
            {"class": "app", "reason": "Permanent", "message": "never", "permanent": True},
            (0, 1, 0),
        ),
        ("InputError", {"class": "input", "reason": "NoText", "message": "the row is wrong"}, (0, 0, 0)),
        (
            "SiteError",
            {"class": "site", "reason": "TooMany", "message": "slow down", "after_seconds": 5.0},
            (0, 0, 1),
        ),
        ("NeedsReauth", {"class": "site", "reason": "NeedsReauth", "permanent": True}, (0, 0, 1)),
        ("MemoryError", {"class": "infra", "reason": "MemoryError"}, (1, 0, 0)),
        (
            "ValueError",
            {"class": "app", "reason": "ValueError", "message": "secret-looking \ufffd ? text"},
            (0, 1, 0),
        ),
    ],
)
def test_an_error_of_the_task_reaches_the_ledger_as_its_class(
    warm: Stage, error: str, failure: dict[str, Any], tries: tuple[int, ...]
) -> None:
    (run_id,) = warm.run("raises", error=error)
    final = "dead" if failure.get("permanent") or failure["class"] == "input" else "pending"
    found = warm.wait_state(run_id, final)
    assert {key: found["failure"].get(key) for key in failure} == failure
    assert "raises" in found["failure"]["traceback"]
    assert (found["infra_tries"], found["app_tries"], found["site_tries"]) == tries


@pytest.mark.parametrize(
    ("how", "failure_class", "reason"),
    [
        ("kill", "infra", "ChildKilled"),
        ("segv", "infra", "ChildKilled"),
        ("exit", "app", "ChildExited"),
        ("close", "app", "ChildExited"),
        ("sys.exit", "app", "SystemExit"),
    ],
)
def test_a_child_that_dies_costs_its_run_the_right_budget_and_the_worker_goes_on(
    warm: Stage, how: str, failure_class: str, reason: str
) -> None:
    (run_id,) = warm.run("dies", how=how)
    found = warm.wait_state(run_id, "pending", "queued")
    wait_until(lambda: warm.look(run_id)["failure"], "the failure is recorded")
    found = warm.look(run_id)
    assert (found["failure"]["class"], found["failure"]["reason"]) == (failure_class, reason)
    assert (found["infra_tries"], found["app_tries"]) == ((1, 0) if failure_class == "infra" else (0, 1))
    warm.wait_ended(warm.run("noop"))


def test_a_fork_that_comes_back_into_the_worker_ends_and_the_run_succeeds_once(warm: Stage) -> None:
    (run_id,) = warm.run("dies", how="fork")
    warm.wait_state(run_id, "succeeded")
    ids = warm.run("noop", 2)
    warm.wait_ended(ids)
    assert len(warm.notes("noop")) == 2


def test_what_a_task_leaves_running_ends_with_its_child(warm: Stage) -> None:
    warm.wait_ended(warm.run("dies", how="orphan"))
    orphan = int(warm.wait_note("orphan").split()[2])
    assert process_exists(orphan)
    warm.wait_ended(warm.run("noop", 2))  # the third task renews the child
    wait_until(lambda: not process_exists(orphan), "the orphan was killed")


def test_the_soft_limit_is_an_error_the_task_can_see(warm: Stage) -> None:
    (run_id,) = warm.run("soft")
    wait_until(lambda: warm.look(run_id)["failure"], "failed")
    assert warm.look(run_id)["failure"]["reason"] == "SoftTimeLimit"
    assert warm.look(run_id)["failure"]["class"] == "app"
    assert len(warm.notes("soft limit seen")) == 1


def test_the_hard_limit_kills_a_task_that_ignores_the_soft_one(warm: Stage) -> None:
    (run_id,) = warm.run("soft", ignore=True)
    pid = int(warm.wait_note("soft limit seen").split()[2])
    wait_until(lambda: warm.look(run_id)["failure"], "failed")
    assert (warm.look(run_id)["failure"]["class"], warm.look(run_id)["failure"]["reason"]) == (
        "app",
        "HardTimeLimit",
    )
    assert not process_exists(pid)


@pytest.mark.parametrize(
    ("task", "args", "remark"),
    [
        ("big", {"bytes": 1_000_001}, "ResultTooLarge"),
        ("strange_result", {"kind": "nul"}, "ResultNotStorable"),
        ("strange_result", {"kind": "object"}, "ResultNotJson"),
    ],
)
def test_a_result_that_cannot_be_kept_leaves_a_remark_in_its_place_and_the_run_has_succeeded(
    warm: Stage, task: str, args: dict[str, Any], remark: str
) -> None:
    (run_id,) = warm.run(task, **args)
    found = warm.wait_state(run_id, "succeeded", "dead")
    assert (found["state"], found["result"]["remark"], found["attempt"]) == ("succeeded", remark, 1)
    assert warm.workers[0].wait_event("run_finished")["remark"] == remark


def test_a_result_just_under_the_limit_is_kept(warm: Stage) -> None:
    (run_id,) = warm.run("big", bytes=999_000)
    assert len(warm.wait_state(run_id, "succeeded")["result"]) == 999_000


def test_a_task_outside_the_allow_list_is_refused_without_being_run(stage: Stage) -> None:
    stage.worker(tasks="noop")
    (other,) = stage.run("echo")
    found = stage.wait_state(other, "dead")
    assert (found["failure"]["class"], found["failure"]["reason"]) == ("input", "TaskNotAllowed")
    assert stage.notes() == []


def test_an_id_that_is_no_run_is_dropped_with_a_word_and_the_worker_goes_on(warm: Stage) -> None:
    warm.push(["somebody-elses-id"])
    ids = warm.run("noop")
    warm.wait_ended(ids)
    assert warm.workers[0].events("run_refused")[0]["reason"] == "NotARunId"


def test_progress_and_cancel_reach_the_other_side(stage: Stage) -> None:
    worker = stage.worker()
    (run_id,) = stage.run("progresses", release=str(stage.folder / "go"))
    stage.wait_note("begin")
    progress = wait_until(lambda: stage.look(run_id)["progress"], "progress is stored at a renewal")
    assert progress == {"done": 1000, "total": 1000, "note": "page"}
    (stage.folder / "go").touch()
    stage.wait_state(run_id, "succeeded")
    (other,) = stage.run("hold_checking", release=str(stage.folder / "never"))
    stage.wait_note("begin", 2)
    stage.sql("select rowlock.cancel_v1(array[%s]::uuid[])", other)
    stage.wait_state(other, "canceled")
    assert worker.events("child_ended") == []  # it stopped by itself


def test_a_canceled_task_that_does_not_stop_is_killed(stage: Stage) -> None:
    stage.worker(cancel_grace_seconds="0.5")
    (run_id,) = stage.run("hold", release=str(stage.folder / "never"))
    pid = int(stage.wait_note("begin").split()[2])
    stage.sql("select rowlock.cancel_v1(array[%s]::uuid[])", run_id)
    stage.wait_state(run_id, "canceled", deadline_seconds=16)
    assert not process_exists(pid)


def test_a_child_never_outlives_its_parent(stage: Stage) -> None:
    worker = stage.worker()
    stage.run("hold", release=str(stage.folder / "never"))
    child = int(stage.wait_note("begin").split()[2])
    worker.kill()
    wait_until(lambda: not process_exists(child), "the kernel killed the child")


def test_a_worker_killed_with_its_child_costs_an_infra_retry_and_its_late_finish_is_refused(
    stage: Stage,
) -> None:
    first = stage.worker()
    (run_id,) = stage.run("hold", release=str(stage.folder / "go"))
    stage.wait_note("begin")
    token = stage.sql("select token::text from rowlock.active where id = %s", run_id)[0][0]
    first.kill()
    stage.sql("update rowlock.runner set lease_until = clock_timestamp() where id > 0")  # ten seconds pass
    assert stage.sweep() == 1
    found = stage.look(run_id)
    assert (found["state"], found["attempt"], found["infra_tries"], found["app_tries"]) == (
        "pending",
        2,
        1,
        0,
    )
    (stage.folder / "go").touch()
    stage.worker()
    stage.dispatch(1)
    stage.wait_state(run_id, "succeeded")
    late = (
        "select * from rowlock.finish_v1(array[%s]::uuid[], array[1], %s, array['succeeded'],"
        " array[null]::jsonb[], array[null]::jsonb[])"
    )
    assert stage.sql(late, run_id, token) == []


def test_a_runner_that_was_given_up_kills_its_task_and_works_on_under_a_new_lease(stage: Stage) -> None:
    worker = stage.worker()
    (run_id,) = stage.run("hold", release=str(stage.folder / "never"))
    child = int(stage.wait_note("begin").split()[2])
    stage.sql("update rowlock.runner set dead = true where id > 0")
    stage.sweep()
    assert stage.look(run_id)["attempt"] == 2
    worker.wait_event("lease_lost")
    wait_until(lambda: not process_exists(child), "the task was killed")
    stage.sql("select rowlock.cancel_v1(array[%s]::uuid[])", run_id)
    stage.wait_ended(stage.run("noop"))
    assert len(worker.events("lease_taken")) == 2


def test_the_start_fence_runs_a_doubled_id_once(stage: Stage) -> None:
    ids = stage.run("noop", 20)
    stage.push([f"{run_id}-1" for run_id in ids])
    for _ in range(2):
        stage.worker()
    stage.wait_ended(ids)
    wait_until(lambda: stage.redis.llen(f"rq:queue:{RQ_QUEUE}") == 0, "the queue is empty")
    assert len(stage.notes("noop")) == 20


def test_without_the_start_fence_a_doubled_id_runs_twice(stage: Stage) -> None:
    """The negative twin: the same test with a fence that lets everything through sees the duplicates."""
    journal = str(stage.journal).replace("'", "''")
    stage.sql(
        f"""
      create or replace function rowlock.start_v1(p_ids uuid[], p_attempts int[], p_runner bigint,
        p_token uuid)
      returns table(id uuid, attempt int, task text, args jsonb, queue text, source_key text,
      tries int) language sql security definer as $$
        with a as (update rowlock.active r set state = 'running', token = p_token, runner = p_runner
          where r.id = any(p_ids) returning r.id)
        select w.id, w.attempt, 'noop', jsonb_build_object('journal', '{journal}'), 'demo/jobs', null, 0
          from unnest(p_ids, p_attempts) w(id, attempt) $$"""
    )
    ids = stage.run("noop", 20)
    stage.push([f"{run_id}-1" for run_id in ids])
    for _ in range(2):
        stage.worker()
    wait_until(lambda: len(stage.notes("noop")) == 40, "every id ran twice")


def test_a_worker_that_cannot_import_its_tasks_says_which_module_and_starts_nothing(stage: Stage) -> None:
    stage.run("noop")
    worker = stage.worker(ready=False, imports="tests.integration.jobs.tasks,no_such_module")
    assert worker.wait() == 2
    assert "no_such_module" in worker.log.read_text()
    assert stage.redis.llen(f"rq:queue:{RQ_QUEUE}") == 1


def test_once_runs_its_attempt_and_only_that_one(stage: Stage) -> None:
    """Contract Sdk: no Redis, exit 0 whatever the outcome once it is recorded."""
    good, bad = stage.enqueue("echo")[0], stage.enqueue("raises", error="ValueError")[0]
    stage.sql("update rowlock.queue set mode = 'Jobs'")
    stage.dispatch(2)
    for run_id in (good, bad, good):  # the third is stale by now
        worker = stage.worker(
            "once", ready=False, fresh=good == run_id, redis_url="", run_id=run_id, attempt="1"
        )
        assert worker.wait() == 0, worker.log.read_text()
    assert stage.look(good)["state"] == "succeeded"
    assert stage.look(bad)["failure"]["reason"] == "ValueError"
    assert stage.workers[2].events("run_refused")
    assert len(stage.notes()) == 2


def test_orphans_and_idle_deaths_of_the_child_are_nobodys_failure(stage: Stage) -> None:
    stage.worker()
    (first,) = stage.run("echo")
    child = stage.wait_state(first, "succeeded")["result"]["pid"]
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not process_exists(child), "the idle child is dead")
    (second,) = stage.run("echo")
    assert stage.wait_state(second, "succeeded")["result"]["tries"] == 0
    assert stage.look(second)["infra_tries"] == 0
