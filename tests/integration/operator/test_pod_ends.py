"""Warm workers whose container is ended, all its processes together, as cgroup v2 does it: the runs that it
held say why, all of them.

There is no kubelet: the processes run on this machine, and the test writes of their pod what a kubelet would.
"""

import socket
import time
from datetime import UTC, datetime

import pytest

from tests.services.manifests import STATUS_COLUMN, row_source, work_queue
from tests.services.operator_room import MERGE, OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import create_orders

pytestmark = pytest.mark.integration
QUEUE = work_queue("orders", imports=["tests.services.journal_tasks"], tasks=["hold"])
SOURCE = row_source("orders", workQueueRef={"name": "orders"}, task="hold", statusColumn=STATUS_COLUMN)


class Pod:
    """The pod whose host name this machine has."""

    def __init__(self, room: OperatorRoom) -> None:
        self.room, self.path = room, f"/api/v1/namespaces/{room.namespace}/pods"
        labels = {"app.kubernetes.io/managed-by": "rowlock", "rowlock.dev/work-queue": "orders"}
        main = {"name": "main", "image": "x:1", "resources": {"limits": {"memory": "256Mi"}}}
        manifest = {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": socket.gethostname(), "labels": labels},
            "spec": {"containers": [main], "schedulerName": "nobody"},
        }  # fmt: skip
        room.must("POST", self.path, manifest)

    def says(self, number: int, reason: str = "OOMKilled", exit_code: int = 137) -> None:
        """Its container ended for the `number`th time and runs again."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ended = {
            "containerID": f"containerd://{number}",
            "exitCode": exit_code,
            "reason": reason,
            "startedAt": now,
            "finishedAt": now,
        }
        main = {
            "name": "main",
            "image": "x:1",
            "imageID": "",
            "ready": True,
            "restartCount": number,
            "containerID": f"containerd://{number + 1}",
            "state": {"running": {"startedAt": now}},
            "lastState": {"terminated": ended},
        }
        status = {"phase": "Running", "containerStatuses": [main]}
        self.room.must(
            "PATCH", f"{self.path}/{socket.gethostname()}/status", {"status": status}, content_type=MERGE
        )


def failures(room: OperatorRoom) -> list[tuple[str, str]]:
    return [(failure["reason"], failure["message"]) for *_, failure in room.runs() if failure]


def hold_two(room: OperatorRoom) -> None:
    """Two worker processes of one container hold a run each."""
    before = len(room.journal.lines())
    for _ in range(2):
        room.worker("orders", ready=False)
    wait_until(lambda: len(room.journal.lines()) == before + 2, "two runs are held", 60)


def test_runs_whose_container_ran_out_of_memory_say_so_with_its_limit_and_name_each_other(
    room: OperatorRoom,
) -> None:
    create_orders(room.url, rows=2)
    pod = Pod(room)
    room.create(QUEUE)
    room.create(SOURCE)
    operator = room.operator()
    hold_two(room)
    for worker in room.workers:
        worker.kill()
    killed_at = time.monotonic()
    pod.says(1)
    wait_until(lambda: len(failures(room)) == 2, "the runs were taken back", 30)
    assert time.monotonic() - killed_at < 25, "15 s are promised"
    ids = [run for run, *_ in room.runs()]
    for reason, message in failures(room):
        assert reason == "OutOfMemory"
        assert "limit 256Mi" in message
        assert "spec.template.resources.limits.memory" in message
        assert all(run in message for run in ids)
    degraded = room.wait_condition("WorkQueue", "orders", "Degraded", status="True", reason="OutOfMemory")
    assert "limit 256Mi" in degraded["message"]

    # The next container ends while nobody leads: whoever leads then reads it of the pod.
    wait_until(lambda: all(state != "running" for _, state, *_ in room.runs()), "nothing runs")
    hold_two(room)
    room.kill(operator)
    for worker in room.workers:
        worker.kill()
    pod.says(2, reason="Error", exit_code=139)
    room.operator()
    wait_until(
        lambda: [attempt for _, _, attempt, *_ in room.runs()] == [3, 3], "the runs were taken back again", 40
    )
    wait_until(lambda: {reason for reason, _ in failures(room)} == {"RunnerFailed"}, "and say why", 30)
    assert all("exit code 139" in message for _, message in failures(room))
