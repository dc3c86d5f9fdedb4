"""Two releases that watch one namespace, and others that scale our Deployments."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.operator.orders import QUEUE, SOURCE
from tests.services.operator_room import MERGE, OperatorRoom, counted_for
from tests.services.process import wait_until
from tests.services.rows import create_orders

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SHORT = "import rowlock_operator.leader\nrowlock_operator.leader.NAMESPACE_LEASES = 1\n"
"""A Lease of a namespace lasts no longer than the leader's."""


def deployment(room: OperatorRoom, name: str = "orders-worker") -> dict[str, Any]:
    found = room.plane.request("GET", f"/apis/apps/v1/namespaces/{room.namespace}/deployments/{name}")
    return found[1] if found[0] == 200 else {}


def image(room: OperatorRoom) -> str:
    found = deployment(room)
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""


def events(room: OperatorRoom, reason: str) -> list[dict[str, Any]]:
    items = room.must("GET", f"/api/v1/namespaces/{room.namespace}/events")["items"]
    return [event for event in items if event["reason"] == reason]


def test_of_two_releases_one_serves_a_namespace_the_other_says_so_and_takes_over_when_it_is_gone(
    new_room: Callable[[], OperatorRoom],
) -> None:
    room, other = new_room(), new_room()
    create_orders(room.url, rows=1)
    room.create({**QUEUE, "spec": {**QUEUE["spec"], "replicas": 1}})
    room.create(SOURCE)
    first = room.operator(ready=False, otherwise=SHORT, rowlock_lease_seconds="4", rowlock_release="blue")
    wait_until(lambda: image(room), "the first release makes the Deployment", 60)
    room.wait_condition("WorkQueue", "orders", status="True", deadline_seconds=60)
    written = deployment(room)["metadata"]["generation"]
    changes = {"rowlock_watch_namespaces": room.namespace, "rowlock_worker_image": "registry.example/other:2"}
    second = other.operator(
        ready=False, otherwise=SHORT, rowlock_lease_seconds="4", rowlock_release="green", **changes
    )
    names = (f"{room.namespace}/blue", f"{other.namespace}/green")
    for kind in ("WorkQueue", "RowSource"):
        told = room.wait_condition(
            kind, "orders", "Degraded", status="True", reason="WatchedByOther", deadline_seconds=60
        )
        assert all(name in told["message"] for name in names)
    assert room.condition("WorkQueue", "orders")["status"] == "True", "work goes on"
    wait_until(lambda: len(events(room, "WatchedByOther")) >= 2, "the second says it of each object")
    assert counted_for(4, lambda: deployment(room)["metadata"]["generation"]) == 0
    assert deployment(room)["metadata"]["generation"] == written
    first.kill()
    wait_until(lambda: image(room) == "registry.example/other:2", "the second takes over", 60)
    assert second.alive
    room.wait_condition("WorkQueue", "orders", "Degraded", status="False", deadline_seconds=60)


def scale(room: OperatorRoom, replicas: int, manager: str) -> None:
    path = f"/apis/apps/v1/namespaces/{room.namespace}/deployments/orders-worker/scale?fieldManager={manager}"
    room.must("PATCH", path, {"spec": {"replicas": replicas}}, content_type=MERGE)


def replicas(room: OperatorRoom) -> int:
    return int(deployment(room)["spec"]["replicas"])


def test_who_writes_replicas_again_and_again_is_named_and_an_autoscaler_is_told_and_left_alone(
    room: OperatorRoom,
) -> None:
    create_orders(room.url, rows=0)
    room.create({**QUEUE, "spec": {**QUEUE["spec"], "replicas": 0}})
    room.operator(ready=False)
    wait_until(lambda: deployment(room), "the Deployment is made", 60)
    scale(room, 2, "flux")
    wait_until(lambda: replicas(room) == 0, "a first foreign number is answered", 40)
    scale(room, 2, "flux")
    told = room.wait_condition(
        "WorkQueue", "orders", "Degraded", status="True", reason="ReplicasContested", deadline_seconds=40
    )
    assert "flux" in told["message"]
    assert replicas(room) == 2, "and answered no more for a while"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders-worker"}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "theirs"},
        "spec": {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 3},
    }
    room.must("POST", f"/apis/autoscaling/v2/namespaces/{room.namespace}/horizontalpodautoscalers", scaler)
    wait_until(lambda: replicas(room) == 3, "the autoscaler has its way", 60)
    told = room.wait_condition(
        "WorkQueue", "orders", "Degraded", status="True", reason="ScaledByOther", deadline_seconds=60
    )
    assert "HorizontalPodAutoscaler theirs" in told["message"]
    assert replicas(room) == 3
