"""What the cluster refuses to make is told within seconds in the words of the API server, tried again later and later, and made once it may be."""

import pytest

from tests.services.manifests import Manifest, work_queue
from tests.services.operator import OperatorRoom
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
TOLD_SECONDS = 30.0  # two loaded cores; the ten are met by far on quiet ones


def dead_webhook(room: OperatorRoom) -> str:
    """A webhook that nobody serves: every Deployment and Job of this namespace is answered with a 500."""
    hook: Manifest = {
        "name": "dead.example.com",
        "clientConfig": {"url": "https://127.0.0.1:9/k3y-of-the-webhook"},
        "rules": [{"apiGroups": ["apps", "batch"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments", "jobs"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": room.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
        "timeoutSeconds": 5,
    }  # fmt: skip
    name = f"dead-{room.namespace}"
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    room.must("POST", HOOKS, {**kind, "metadata": {"name": name}, "webhooks": [hook]})
    probe = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe"}}
    probe["spec"] = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x:1"}]}}}
    path = f"/apis/batch/v1/namespaces/{room.namespace}/jobs?dryRun=All"
    wait_until(lambda: room.plane.request("POST", path, probe)[0] == 500, "the webhook is asked", 30)
    return f"{HOOKS}/{name}"


def test_workers_that_are_there_are_scaled_though_their_change_is_refused(room: OperatorRoom) -> None:
    """A change that the API server refuses for good must not freeze the number of workers."""
    room.create(work_queue("fresh", replicas=0))
    room.operator()
    deployment = f"/apis/apps/v1/namespaces/{room.namespace}/deployments/fresh-worker"
    wait_until(lambda: room.plane.request("GET", deployment)[0] == 200, "the Deployment", 30)
    dead_webhook(room)
    room.change("WorkQueue", "fresh", template={"resources": {"limits": {"memory": "1Gi"}}}, replicas=3)
    room.wait_condition("WorkQueue", "fresh", status="False", deadline_seconds=TOLD_SECONDS)
    wait_until(lambda: room.must("GET", deployment)["spec"]["replicas"] == 3, "three workers are asked for", 30)


def test_a_deployment_of_somebody_else_is_named_and_left_alone(room: OperatorRoom) -> None:
    labels = {"app": "theirs"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "x:1"}]}}
    theirs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "fresh-worker"}}
    path = f"/apis/apps/v1/namespaces/{room.namespace}/deployments"
    made = room.must("POST", path, {**theirs, "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}})
    room.create(work_queue("fresh"))
    room.operator()
    said = room.wait_condition("WorkQueue", "fresh", status="False", reason="ChildRefused", deadline_seconds=TOLD_SECONDS)
    assert "somebody else has made a Deployment of this name" in said["message"]
    assert room.must("GET", f"{path}/fresh-worker")["spec"] == made["spec"]
