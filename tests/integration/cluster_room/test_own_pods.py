"""Evicted pods of the installation's own Deployments, on a real API server; the test writes what a kubelet
would.
"""

import asyncio
from typing import Any

import pytest

from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import Credentials
from rowlock_operator.reconcile.own_pods import OwnPods
from tests.services.kube import KubeControlPlane

pytestmark = pytest.mark.integration


def pod(
    plane: KubeControlPlane, namespace: str, name: str, *, owner: str, phase: str, part_of: str = "rowlock"
) -> None:
    metadata: dict[str, Any] = {"name": name, "labels": {"app.kubernetes.io/part-of": part_of}}
    if owner:
        metadata["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": owner, "name": "x", "uid": name, "controller": True}
        ]
    path, container = f"/api/v1/namespaces/{namespace}/pods", {"name": "main", "image": "x:1"}
    made = plane.request(
        "POST",
        path,
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}},
    )
    assert made[0] == 201, made
    status = {"status": {"phase": phase, "reason": "Evicted" if phase == "Failed" else ""}}
    written = plane.request(
        "PATCH", f"{path}/{name}/status", status, content_type="application/merge-patch+json"
    )
    assert written[0] == 200, written


def names(plane: KubeControlPlane, namespace: str) -> set[str]:
    return {
        one["metadata"]["name"]
        for one in plane.request("GET", f"/api/v1/namespaces/{namespace}/pods")[1]["items"]
    }


def test_what_a_replica_set_leaves_goes_after_a_while_and_nothing_else(
    plane: KubeControlPlane, credentials: Credentials, namespace: str
) -> None:
    pod(plane, namespace, "evicted", owner="ReplicaSet", phase="Failed")
    pod(plane, namespace, "running", owner="ReplicaSet", phase="Running")
    pod(plane, namespace, "of-a-job", owner="Job", phase="Failed")
    pod(plane, namespace, "helm-test", owner="", phase="Failed")
    pod(plane, namespace, "of-others", owner="ReplicaSet", phase="Failed", part_of="shop")
    others, clock = {"running", "of-a-job", "helm-test", "of-others"}, [1000.0]

    async def looks() -> None:
        async with KubeClient(credentials) as client:
            own = OwnPods(client, namespace, clock=lambda: clock[0])
            for seconds in (0.0, 599.0):
                clock[0] += seconds
                await own.look()
                assert names(plane, namespace) == others | {"evicted"}
            clock[0] += 2
            await own.look()

    asyncio.run(looks())
    assert names(plane, namespace) == others
