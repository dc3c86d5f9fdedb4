"""A worker pod that its node evicts is told of and cleared away; there is no kubelet, so the test writes what
one would write.
"""

from typing import Any

import pytest

from tests.services.manifests import work_queue
from tests.services.operator_room import MERGE, OperatorRoom
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SOON = """
import rowlock_operator.decide.ended_pods as ended_pods
ended_pods.KEPT_SECONDS = {kept}
import rowlock_operator.reconcile.work_queue as queues
queues.IDLE_SECONDS = queues.BUSY_SECONDS = 0.5
"""
SENTENCE = 'Usage of EmptyDir volume "rowlock-tmp" exceeds the limit "1Gi". '


def evict(room: OperatorRoom, pod: str) -> None:
    """The end of a kubelet's eviction: the object stays."""
    body = {"status": {"phase": "Failed", "reason": "Evicted", "message": SENTENCE}}
    room.must("PATCH", f"/api/v1/namespaces/{room.namespace}/pods/{pod}/status", body, content_type=MERGE)


def names(room: OperatorRoom) -> set[str]:
    return {str(pod["metadata"]["name"]) for pod in room.pods()}


def one_pod(room: OperatorRoom) -> str:
    room.create(work_queue("orders", scaling={"min": 1, "max": 1}))
    wait_until(lambda: len(room.pods()) == 1, "the worker's pod is made", 40)
    return str(room.pods()[0]["metadata"]["name"])


def test_an_evicted_pod_is_told_and_then_cleared_away(room: OperatorRoom) -> None:
    room.operator(otherwise=SOON.format(kept=4.0))
    pod = one_pod(room)
    evict(room, pod)
    told: Any = room.wait_condition("WorkQueue", "orders", "Degraded", status="True", reason="Evicted")
    assert SENTENCE.strip() in told["message"]
    assert room.condition("WorkQueue", "orders")["status"] == "True", "another pod takes its place"
    wait_until(
        lambda: names(room) and pod not in names(room), "the evicted pod is gone, another is there", 40
    )
    room.wait_condition("WorkQueue", "orders", "Degraded", status="False", reason="Healthy")


def test_without_clearing_they_lie_about(room: OperatorRoom) -> None:
    """Negative twin: with a longer time the same pod stays, and Kubernetes alone takes none away."""
    room.operator(otherwise=SOON.format(kept=3600.0))
    pod = one_pod(room)
    evict(room, pod)
    room.wait_condition("WorkQueue", "orders", "Degraded", status="True", reason="Evicted")
    wait_until(lambda: len(names(room)) == 2, "another pod takes its place", 40)
    assert pod in names(room)
