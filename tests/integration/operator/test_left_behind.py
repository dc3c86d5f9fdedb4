"""Children of a WorkQueue that was deleted with orphan: the next WorkQueue of that name owns them, and takes
them with it.
"""

from typing import Any

import pytest

from tests.integration.operator.orders import QUEUE
from tests.integration.operator.test_gone_and_made_anew import deleted
from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source, work_queue
from tests.services.operator_room import OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import create_orders

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def children(room: OperatorRoom, resource: str) -> dict[str, dict[str, Any]]:
    """Name -> metadata of what is ours."""
    query = "?labelSelector=app.kubernetes.io/managed-by%3Drowlock"
    items = room.must("GET", f"{resource.format(room.namespace)}{query}")["items"]
    return {item["metadata"]["name"]: item["metadata"] for item in items}


DEPLOYMENTS, JOBS = "/apis/apps/v1/namespaces/{}/deployments", "/apis/batch/v1/namespaces/{}/jobs"
SECRETS = "/api/v1/namespaces/{}/secrets"


def owners(metadata: dict[str, Any]) -> list[str]:
    return [reference["uid"] for reference in metadata.get("ownerReferences", [])]


def test_what_was_left_behind_is_owned_by_the_next_of_its_name_and_goes_with_it(room: OperatorRoom) -> None:
    create_orders(room.url, rows=1)
    changed = work_queue("changed", imports=["a"], tasks=["count"])
    jobs = exit_queue("resize", rowDelivery="Secret")
    for manifest in (QUEUE, changed, jobs):
        room.create(manifest)
    room.create(
        row_source("orders", workQueueRef={"name": "resize"}, task="resize", statusColumn=STATUS_COLUMN)
    )
    stranger = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "taken-worker"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"name": "x", "image": "x:1"}]},
            },
        },
    }
    taken = room.must("POST", DEPLOYMENTS.format(room.namespace), stranger)
    room.create(work_queue("taken", imports=["a"], tasks=["count"]))
    room.operator(ready=False)
    wait_until(
        lambda: set(children(room, DEPLOYMENTS)) == {"orders-worker", "changed-worker"}, "two Deployments", 60
    )
    wait_until(lambda: children(room, JOBS) and children(room, SECRETS), "a kube job and its Secret", 40)
    told = room.wait_condition("WorkQueue", "taken", status="False", reason="ChildRefused")
    assert "taken-worker" in told["message"]
    before = children(room, JOBS)

    for name in ("orders", "changed", "resize"):
        deleted(room, "workqueues", name, propagationPolicy="Orphan")
    assert owners(children(room, DEPLOYMENTS)["orders-worker"]) == []
    made = {
        name: room.create(manifest)["metadata"]["uid"]
        for name, manifest in (("orders", QUEUE), ("resize", jobs))
    }
    room.create(exit_queue("changed"))
    wait_until(
        lambda: owners(children(room, DEPLOYMENTS)["orders-worker"]) == [made["orders"]],
        "it is owned anew",
        40,
    )
    wait_until(
        lambda: [owners(m) for m in children(room, JOBS).values()] == [[made["resize"]]],
        "its kube job, too",
        40,
    )
    assert {m["uid"] for m in children(room, JOBS).values()} == {m["uid"] for m in before.values()}, (
        "and it was not made anew"
    )
    wait_until(
        lambda: set(children(room, DEPLOYMENTS)) == {"orders-worker"},
        "a queue of mode Jobs has no workers",
        40,
    )

    for name in ("orders", "resize", "taken"):
        deleted(room, "workqueues", name)
    for resource in (DEPLOYMENTS, JOBS, SECRETS):
        wait_until(
            lambda r=resource: children(room, r) == {}, f"{resource} are gone with their WorkQueue", 40
        )
    left = room.must("GET", f"{DEPLOYMENTS.format(room.namespace)}/taken-worker")["metadata"]
    assert (left["uid"], left["generation"]) == (taken["metadata"]["uid"], 1), (
        "a stranger's was never touched"
    )
