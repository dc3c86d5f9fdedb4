"""What the cluster refuses to make is told within seconds in the words of the API server, tried again later
and later, and made once it may be.
"""

import re

import pytest

from tests.services.manifests import STATUS_COLUMN, Manifest, exit_queue, row_source, work_queue
from tests.services.operator_room import OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import create_orders

pytestmark = [pytest.mark.integration, pytest.mark.slow]
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
TOLD_SECONDS = 30.0  # two loaded cores; the ten are met by far on quiet ones


def dead_webhook(room: OperatorRoom) -> str:
    """A webhook that nobody serves: every Deployment and Job of this namespace is answered with a 500."""
    hook: Manifest = {
        "name": "dead.example.com",
        "clientConfig": {"url": "https://127.0.0.1:9/k3y-of-the-webhook"},
        "rules": [
            {
                "apiGroups": ["apps", "batch"],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["deployments", "jobs"],
            }
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": room.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
        "timeoutSeconds": 5,
    }
    name = f"dead-{room.namespace}"
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    room.must("POST", HOOKS, {**kind, "metadata": {"name": name}, "webhooks": [hook]})
    probe = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe"}}
    probe["spec"] = {
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x:1"}]}}
    }
    path = f"/apis/batch/v1/namespaces/{room.namespace}/jobs?dryRun=All"
    wait_until(lambda: room.plane.request("POST", path, probe)[0] == 500, "the webhook is asked", 30)
    return f"{HOOKS}/{name}"


def refusals(room: OperatorRoom, plural: str) -> int:
    """How often the operator was refused such a creation."""
    labels = re.compile(
        rf'rowlock_kube_requests_total\{{[^}}]*resource="{plural}",status="500",verb="create"\}} (\S+)'
    )
    return sum(int(float(each)) for each in labels.findall(room.leader().page("/metrics")[1]))


def test_a_dead_webhook_is_told_of_a_new_queue_and_of_kube_jobs_and_both_are_made_once_it_is_gone(
    room: OperatorRoom,
) -> None:
    create_orders(room.url, rows=20)
    hook = dead_webhook(room)
    room.operator()
    room.create(work_queue("fresh"))
    room.create(exit_queue("resize", parallelism=5))
    room.create(
        row_source(
            "orders",
            workQueueRef={"name": "resize"},
            task="resize",
            columns=["id"],
            statusColumn=STATUS_COLUMN,
        )
    )
    for queue, reason in (("fresh", "ChildRefused"), ("resize", "KubeJobRefused")):
        for type_, status in (("Ready", "False"), ("Degraded", "True")):
            said = room.wait_condition(
                "WorkQueue", queue, type_, status=status, reason=reason, deadline_seconds=TOLD_SECONDS
            )
            assert 'failed calling webhook "dead.example.com"' in said["message"]
            assert "k3y" not in said["message"], "an address is told without its path"
    before = refusals(room, "jobs")
    assert before <= 12, "five at once, once; then one at a time"
    wait_until(lambda: refusals(room, "jobs") > before, "it is tried again", 90)
    assert [state for _, state, _, _, _ in room.runs()].count("launching") == 5, "no attempt was used up"
    assert {attempt for _, _, attempt, _, _ in room.runs() if attempt} == {1}

    room.must("DELETE", hook)
    wait_until(lambda: len(room.kube_jobs()) == 5, "its kube jobs are made", 90)
    wait_until(
        lambda: (
            room.plane.request("GET", f"/apis/apps/v1/namespaces/{room.namespace}/deployments/fresh-worker")[
                0
            ]
            == 200
        ),
        "the workers' Deployment is made",
        90,
    )
    room.wait_condition("WorkQueue", "fresh", status="True", deadline_seconds=TOLD_SECONDS)
    room.wait_condition("WorkQueue", "resize", status="True", deadline_seconds=TOLD_SECONDS)


def test_workers_that_are_there_are_scaled_though_their_change_is_refused(room: OperatorRoom) -> None:
    """A change that the API server refuses for good must not freeze the number of workers."""
    room.create(work_queue("fresh", replicas=0))
    room.operator()
    deployment = f"/apis/apps/v1/namespaces/{room.namespace}/deployments/fresh-worker"
    wait_until(lambda: room.plane.request("GET", deployment)[0] == 200, "the Deployment", 30)
    dead_webhook(room)
    room.change("WorkQueue", "fresh", template={"resources": {"limits": {"memory": "1Gi"}}}, replicas=3)
    room.wait_condition("WorkQueue", "fresh", status="False", deadline_seconds=TOLD_SECONDS)
    wait_until(
        lambda: room.must("GET", deployment)["spec"]["replicas"] == 3, "three workers are asked for", 30
    )


def test_a_deployment_of_somebody_else_is_named_and_left_alone(room: OperatorRoom) -> None:
    labels = {"app": "theirs"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "x:1"}]}}
    theirs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "fresh-worker"}}
    path = f"/apis/apps/v1/namespaces/{room.namespace}/deployments"
    made = room.must(
        "POST",
        path,
        {**theirs, "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}},
    )
    room.create(work_queue("fresh"))
    room.operator()
    said = room.wait_condition(
        "WorkQueue", "fresh", status="False", reason="ChildRefused", deadline_seconds=TOLD_SECONDS
    )
    assert "somebody else has made a Deployment of this name" in said["message"]
    assert room.must("GET", f"{path}/fresh-worker")["spec"] == made["spec"]
