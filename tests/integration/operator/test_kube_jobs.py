"""Exit queues: each outcome of a pod is told in the user's table.

There is no kubelet: the test writes what a kubelet would write into the status of the pods that the real job
controller makes.
"""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.operator.orders import uids
from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source
from tests.services.operator_room import OperatorProcess, OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import create_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow(80)]

SOURCE = row_source(
    "orders",
    workQueueRef={"name": "resize"},
    task="resize",
    columns=["id", "amount", "customer"],
    statusColumn=STATUS_COLUMN,
)
RETRY = {name: {"limit": 1, "backoffSeconds": 1, "maxBackoffSeconds": 1} for name in ("infra", "app", "site")}


@pytest.fixture
def operator(room: OperatorRoom) -> OperatorProcess:
    """One row of an Exit queue, and the operator that launched it."""
    create_orders(room.url, rows=1)
    room.create(exit_queue("resize", retry=RETRY))
    room.create(SOURCE)
    return room.operator(ready=False)


def pod_of(room: OperatorRoom, attempt: int = 1) -> str:
    """The pod of an attempt's kube job, once the job controller has made it."""

    def found() -> str | None:
        for job in room.kube_jobs():
            if job["metadata"]["labels"]["rowlock.dev/attempt"] == str(attempt):
                pods = room.pods(job["metadata"]["name"])
                return str(pods[0]["metadata"]["name"]) if pods else None
        return None

    return str(wait_until(found, f"the pod of attempt {attempt}", 40))


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def running() -> dict[str, Any]:
    return {"running": {"startedAt": now()}}


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "message": message,
            "startedAt": now(),
            "finishedAt": now(),
        }
    }


def wait_state(
    room: OperatorRoom, state: str, deadline_seconds: float = 20
) -> tuple[int, Any, dict[str, Any]]:
    """Waits until the one run is in this state: (attempt, result, failure)."""
    wait_until(lambda: [run[1] for run in room.runs()] == [state], f"the run is {state}", deadline_seconds)
    _, _, attempt, result, failure = room.runs()[0]
    return attempt, result, failure or {}


@pytest.mark.usefixtures("operator")
def test_exit_code_zero_succeeds_with_the_termination_message_as_result(room: OperatorRoom) -> None:
    pod = pod_of(room)
    room.kubelet_writes(pod, "Running", running())
    wait_state(room, "running")
    room.kubelet_writes(pod, "Succeeded", ended(0, '{"pages": 3}', "Completed"))
    assert wait_state(room, "succeeded") == (1, {"pages": 3}, {})
    wait_until(lambda: statuses(room.url) == {"done": 1}, "the row is told")
    wait_until(lambda: room.kube_jobs() == [], "the kube job is cleared away", 20)


@pytest.mark.usefixtures("operator")
def test_exit_code_one_is_retried_as_the_tasks_failure_and_then_dead(room: OperatorRoom) -> None:
    for attempt in (1, 2):
        room.kubelet_writes(pod_of(room, attempt), "Failed", ended(1, "no such picture"))
    attempt, _, failure = wait_state(room, "dead")
    assert (attempt, failure["class"], failure["reason"], failure["message"]) == (
        2,
        "app",
        "ExitCode",
        "no such picture",
    )
    wait_until(
        lambda: room.sql("select status, error from orders") == [("error", "no such picture")],
        "the row is told why",
    )
    condition = room.wait_condition("WorkQueue", "resize", "Degraded", status="True", reason="DeadLetters")
    assert "requeue" in condition["message"]


@pytest.mark.usefixtures("operator")
def test_exit_code_65_is_wrong_input_and_not_retried(room: OperatorRoom) -> None:
    room.kubelet_writes(pod_of(room), "Failed", ended(65, "not a picture"))
    attempt, _, failure = wait_state(room, "dead")
    assert (attempt, failure["class"], failure["message"]) == (1, "input", "not a picture")


@pytest.mark.usefixtures("operator")
def test_a_pod_out_of_memory_is_the_platforms_failure(room: OperatorRoom) -> None:
    room.kubelet_writes(pod_of(room), "Failed", ended(137, reason="OOMKilled"))
    pod = pod_of(room, 2)
    assert room.sql(
        "select infra_tries, app_tries, failure->>'class', failure->>'reason' from rowlock.run"
    ) == [(1, 0, "infra", "OutOfMemory")]
    room.kubelet_writes(pod, "Succeeded", ended(0))
    wait_state(room, "succeeded")


@pytest.mark.usefixtures("operator")
def test_a_kube_job_deleted_by_hand_while_it_runs_is_the_platforms_failure(room: OperatorRoom) -> None:
    room.kubelet_writes(pod_of(room), "Running", running())
    wait_state(room, "running")
    (name,) = uids(room)
    options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
    room.must("DELETE", f"/apis/batch/v1/namespaces/{room.namespace}/jobs/{name}", options)
    pod_of(room, 2)
    assert room.sql("select infra_tries, failure->>'class', failure->>'reason' from rowlock.run") == [
        (1, "infra", "KubeJobGone")
    ]


@pytest.mark.usefixtures("operator")
def test_a_kube_job_deleted_by_hand_before_it_ran_is_made_again_as_the_same_attempt(
    room: OperatorRoom,
) -> None:
    pod_of(room)
    before = uids(room)
    (name,) = before
    room.must(
        "DELETE",
        f"/apis/batch/v1/namespaces/{room.namespace}/jobs/{name}",
        {"propagationPolicy": "Background"},
    )
    wait_until(lambda: uids(room).keys() == before.keys() and uids(room) != before, "it is made again", 20)
    assert [(state, attempt) for _, state, attempt, _, _ in room.runs()] == [("launching", 1)]


@pytest.mark.usefixtures("operator")
def test_a_canceled_run_loses_its_kube_job(room: OperatorRoom) -> None:
    room.kubelet_writes(pod_of(room), "Running", running())
    wait_state(room, "running")
    room.sql("select rowlock.cancel_v1(array(select id from rowlock.active), 'CanceledByUser')")
    canceled = time.monotonic()
    _, _, failure = wait_state(room, "canceled")
    assert failure["reason"] == "CanceledByUser"
    wait_until(lambda: room.kube_jobs() == [], "its kube job is gone", 10)
    assert time.monotonic() - canceled < 10


@pytest.mark.usefixtures("operator")
def test_an_operator_that_was_away_reads_what_became_of_a_pod_meanwhile(room: OperatorRoom) -> None:
    pod = pod_of(room)
    room.kubelet_writes(pod, "Running", running())
    wait_state(room, "running")
    room.kill(room.leader())
    room.kubelet_writes(pod, "Succeeded", ended(0, "well done"))
    room.operator(ready=False)
    assert wait_state(room, "succeeded", 40) == (1, {"message": "well done"}, {})


@pytest.mark.parametrize(("killed", "code"), [(True, 0), (True, 1), (False, 0)])
def test_of_a_pod_that_was_gone_before_anybody_looked_its_kubelet_says_whether_it_was_asked_to_end(
    room: OperatorRoom, operator: OperatorProcess, killed: bool, code: int
) -> None:
    """Drained while no operator was there: its program obeyed, and its kube job is complete, or has failed by
    the exit code.
    """
    pod = pod_of(room)
    room.kubelet_writes(pod, "Running", running())
    wait_state(room, "running")
    room.kill(operator)
    if killed:
        event = {
            "metadata": {"name": f"{pod}.1", "namespace": room.namespace},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": room.namespace, "name": pod},
            "type": "Normal",
            "reason": "Killing",
            "message": "Stopping container main",
        }
        room.must("POST", f"/api/v1/namespaces/{room.namespace}/events", event)
    room.kubelet_writes(pod, "Failed" if code else "Succeeded", ended(code))
    ends = {"Complete", "Failed"}
    wait_until(
        lambda: ends & {each["type"] for each in room.kube_jobs()[0]["status"].get("conditions", [])},
        "its kube job ends",
        30,
    )
    room.must("DELETE", f"/api/v1/namespaces/{room.namespace}/pods/{pod}")
    wait_until(lambda: not room.pods(), "its pod is gone", 20)
    room.operator(ready=False)
    if killed:
        wait_until(lambda: room.runs()[0][4], "how it ended is recorded", 90)
        failure = room.runs()[0][4]
        assert (failure["class"], failure["reason"]) == ("infra", "PodDeleted")
        assert pod in failure["message"]
    else:
        wait_state(room, "succeeded", 90)
