"""Pods that wait for their container for ever, and workers that never become ready: told with what Kubernetes
says in Events only.

There is no kubelet: the test writes what one would. What takes a minute or two takes seconds here.
"""

from typing import Any

import pytest

from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source, work_queue
from tests.services.operator_room import MERGE, OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import create_orders

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SOON = """
import datetime
import rowlock_operator.reconcile.work_queue as queues
import rowlock_operator.status.pod_problems as problems
import rowlock_operator.cluster.event_reader as reader
problems.STUCK_AFTER = datetime.timedelta(seconds=2)
queues.NO_WORKER_SECONDS, queues.TROUBLE_SECONDS, reader.AGAIN_SECONDS = 3.0, 1.0, 1.0
"""
MOUNT = 'MountVolume.SetUp failed for volume "database" : references non-existent secret key: workerUrl'


def the_pod(room: OperatorRoom, queue: str) -> dict[str, Any]:
    """The one pod of a WorkQueue, on a node."""

    def found() -> dict[str, Any] | None:
        labeled = [
            pod for pod in room.pods() if pod["metadata"]["labels"].get("rowlock.dev/work-queue") == queue
        ]
        return labeled[0] if labeled else None

    pod: Any = wait_until(found, f"the pod of {queue}", 60)
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod["metadata"]["name"]},
        "target": {"kind": "Node", "name": "n1"},
    }
    room.must("POST", f"/api/v1/namespaces/{room.namespace}/pods/{pod['metadata']['name']}/binding", binding)
    assert isinstance(pod, dict)
    return pod


def happened(
    room: OperatorRoom, pod: dict[str, Any], reason: str, message: str, at: str, kind: str = "Warning"
) -> None:
    metadata = {"generateName": f"{pod['metadata']['name']}.", "namespace": room.namespace}
    about = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": room.namespace,
        "name": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
    }
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": metadata,
        "involvedObject": about,
        "reason": reason,
        "message": message,
    }
    stamped = {
        **event,
        "type": kind,
        "count": 3,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": "kubelet"},
    }
    room.must("POST", f"/api/v1/namespaces/{room.namespace}/events", stamped)


def written(room: OperatorRoom, pod: dict[str, Any], phase: str, state: dict[str, Any]) -> None:
    container = {
        "name": "main",
        "image": "x:1",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
    }
    path = f"/api/v1/namespaces/{room.namespace}/pods/{pod['metadata']['name']}/status"
    room.must(
        "PATCH", path, {"status": {"phase": phase, "containerStatuses": [container]}}, content_type=MERGE
    )


def test_a_pod_in_container_creating_is_told_with_its_newest_warning_in_both_modes(
    room: OperatorRoom,
) -> None:
    create_orders(room.url, rows=1)
    room.create(work_queue("warm", scaling={"min": 1, "max": 1}))
    room.create(exit_queue("resize"))
    room.create(
        row_source(
            "orders",
            workQueueRef={"name": "resize"},
            task="resize",
            columns=["id"],
            statusColumn=STATUS_COLUMN,
        )
    )
    room.operator(ready=False, otherwise=SOON)
    for queue in ("warm", "resize"):
        pod = the_pod(room, queue)
        happened(room, pod, "FailedScheduling", "no node fits", "2026-01-01T00:00:00Z")
        happened(room, pod, "FailedMount", MOUNT, "2026-01-01T00:01:00Z")
        happened(room, pod, "Pulling", "pulling image", "2026-01-01T00:02:00Z", kind="Normal")
        written(room, pod, "Pending", {"waiting": {"reason": "ContainerCreating"}})
        told = room.wait_condition(
            "WorkQueue", queue, "Degraded", status="True", reason="PodStuck", deadline_seconds=40
        )
        wait_until(
            lambda queue=queue: MOUNT in room.condition("WorkQueue", queue, "Degraded")["message"],
            "its Event is told",
            30,
        )
        assert f"pod {pod['metadata']['name']}: ContainerCreating" in told["message"]
        room.wait_condition("WorkQueue", queue, status="False", reason="PodStuck")


def test_work_that_waits_for_a_worker_that_never_becomes_ready_is_told_and_no_more_once_it_is(
    room: OperatorRoom,
) -> None:
    create_orders(room.url, rows=1)
    room.create(work_queue("warm", tasks=["count"]))
    room.create(
        row_source(
            "orders", workQueueRef={"name": "warm"}, task="count", columns=["id"], statusColumn=STATUS_COLUMN
        )
    )
    room.operator(ready=False, otherwise=SOON)
    pod = the_pod(room, "warm")
    happened(room, pod, "Unhealthy", "Readiness probe failed: waiting for Redis", "2026-01-01T00:01:00Z")
    written(room, pod, "Running", {"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    for type_, status in (("Ready", "False"), ("Degraded", "True")):
        room.wait_condition(
            "WorkQueue", "warm", type_, status=status, reason="WorkersNotReady", deadline_seconds=40
        )
    said = "Unhealthy: Readiness probe failed: waiting for Redis"
    wait_until(
        lambda: said in room.condition("WorkQueue", "warm")["message"], "why it is not ready is told", 30
    )
    path = f"/api/v1/namespaces/{room.namespace}/pods/{pod['metadata']['name']}/status"
    ready = {"type": "Ready", "status": "True"}
    container = {"name": "main", "image": "x:1", "imageID": "", "ready": True, "restartCount": 0}
    running = {**container, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    room.must(
        "PATCH", path, {"status": {"conditions": [ready], "containerStatuses": [running]}}, content_type=MERGE
    )
    room.wait_condition("WorkQueue", "warm", status="True", reason="Ready", deadline_seconds=40)
