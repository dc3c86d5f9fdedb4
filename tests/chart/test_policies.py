"""What many clusters ask of a pod, as admission policies on a real API server: all that chart and operator
make comes through.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rowlock_operator import settings
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.desired.deployments import build_worker_deployment
from rowlock_operator.desired.installation import installation_of
from rowlock_operator.desired.kube_jobs import build_kube_job
from rowlock_operator.desired.runs import RunToLaunch
from tests.chart.rendering import POD_KINDS, Document, pick, pod_template, render
from tests.services.kube import KubeControlPlane
from tests.services.manifests import exit_queue, sdk_queue, work_queue
from tests.services.process import wait_until

pytestmark = pytest.mark.integration

REGISTRY = "registry.example/"
VALUES = (
    "--set",
    "operator.image.repository=registry.example/rowlock-operator,worker.image.repository=registry.example/rowlock-worker",
    "--set",
    "embedded.postgresql.image=registry.example/postgres:17,embedded.redis.image=registry.example/redis:8",
    "--set",
    "commonLabels.team=data,podLabels.cost-centre=web,podAnnotations.example\\.com/owner=ada",
    "--set",
    "domain.monitoring.enabled=true",
)
# What each asks; `pod` is the pod that an object is or makes, `containers` are its init containers, too.
ASKED = {
    "registry": f"variables.containers.all(c, c.image.startsWith('{REGISTRY}'))",
    "tag": (
        "variables.containers.all(c, c.image.matches('@sha256:[0-9a-f]{64}$')"
        " || (c.image.matches(':[^/:]+$') && !c.image.endsWith(':latest')))"
    ),
    "limits": (
        "variables.containers.all(c, has(c.resources.limits) && ['cpu', 'memory'].all(r, r in"
        " c.resources.limits))"
    ),
    "requests": (
        "variables.containers.all(c, has(c.resources.requests)"
        " && ['cpu', 'memory', 'ephemeral-storage'].all(r, r in c.resources.requests))"
    ),
    "labels of the object": (
        "['team', 'app.kubernetes.io/name', 'app.kubernetes.io/managed-by']"
        ".all(l, has(object.metadata.labels) && l in object.metadata.labels)"
    ),
    "labels of the pod": (
        "['team', 'cost-centre', 'app.kubernetes.io/name', 'app.kubernetes.io/component']"
        ".all(l, has(variables.pod.metadata.labels) && l in variables.pod.metadata.labels)"
    ),
    "annotations of the pod": (
        "has(variables.pod.metadata.annotations) && 'example.com/owner' in variables.pod.metadata.annotations"
    ),
    "not root, by the pod": (
        "has(variables.pod.spec.securityContext.runAsNonRoot) &&"
        " variables.pod.spec.securityContext.runAsNonRoot && variables.pod.spec.securityContext.runAsUser > 0"
    ),
    "not root, by the container": (
        "variables.containers.all(c, has(c.securityContext.runAsNonRoot) && c.securityContext.runAsNonRoot)"
    ),
    "seccomp": "variables.pod.spec.securityContext.seccompProfile.type == 'RuntimeDefault'",
    "no escalation": "variables.containers.all(c, !c.securityContext.allowPrivilegeEscalation)",
    "read-only root": "variables.containers.all(c, c.securityContext.readOnlyRootFilesystem)",
    "no capabilities": (
        "variables.containers.all(c, 'ALL' in c.securityContext.capabilities.drop"
        " && !has(c.securityContext.capabilities.add))"
    ),
    "no token": (
        "(has(variables.pod.spec.automountServiceAccountToken) &&"
        " !variables.pod.spec.automountServiceAccountToken) ||"
        " variables.pod.metadata.labels['app.kubernetes.io/component'] in ['operator', 'crds-upgrade']"
    ),
    "no folder of the node": (
        "!has(variables.pod.spec.volumes) || variables.pod.spec.volumes.all(v, !has(v.hostPath))"
    ),
    "no host namespace": (
        "!has(variables.pod.spec.hostNetwork) && !has(variables.pod.spec.hostPID) &&"
        " !has(variables.pod.spec.hostIPC)"
    ),
}
POLICY = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "pods"},
    "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [group],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": resources,
                }
                for group, resources in (
                    ("", ["pods"]),
                    ("apps", ["deployments", "statefulsets"]),
                    ("batch", ["jobs", "cronjobs"]),
                )
            ]
        },
        "variables": [
            {
                "name": "pod",
                "expression": (
                    "object.kind == 'Pod' ? object : object.kind == 'CronJob' ?"
                    " object.spec.jobTemplate.spec.template : object.spec.template"
                ),
            },
            {
                "name": "containers",
                "expression": (
                    "variables.pod.spec.containers"
                    " + (has(variables.pod.spec.initContainers) ? variables.pod.spec.initContainers : [])"
                ),
            },
        ],
        "validations": [
            {"expression": expression, "message": f"asked: {name}"} for name, expression in ASKED.items()
        ],
    },
}
BINDING = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": {"name": "pods"},
    "spec": {
        "policyName": "pods",
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "policed"}}},
    },
}
PATHS = {
    "Pod": "/api/v1/namespaces/policed/pods",
    "Deployment": "/apis/apps/v1/namespaces/policed/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/policed/statefulsets",
    "Job": "/apis/batch/v1/namespaces/policed/jobs",
    "CronJob": "/apis/batch/v1/namespaces/policed/cronjobs",
}


def asked_for(plane: KubeControlPlane, document: Document) -> str:
    """What the API server says against an object; empty where it would take it."""
    manifest = {**document, "metadata": {**document["metadata"], "namespace": "policed"}}
    status, answer = plane.request(
        "POST", PATHS[document["kind"]] + "?dryRun=All&fieldValidation=Strict", manifest
    )
    return "" if status == 201 else str(answer["message"])


@pytest.fixture(scope="module")
def policed(kube_control_plane: KubeControlPlane) -> Iterator[KubeControlPlane]:
    """A control plane with the policies in force in one namespace."""
    plane, path = kube_control_plane, "/apis/admissionregistration.k8s.io/v1"
    made = [
        ("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "policed"}}),
        (f"{path}/validatingadmissionpolicies", POLICY),
        (f"{path}/validatingadmissionpolicybindings", BINDING),
    ]
    for collection, manifest in made:
        status, answer = plane.request("POST", collection, manifest)
        assert status == 201, answer
    bare: Document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bare"},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }
    wait_until(lambda: asked_for(plane, bare), "the policies are in force", 30)
    yield plane
    for collection, manifest in reversed(made[1:]):
        plane.request("DELETE", f"{collection}/{manifest['metadata']['name']}")  # type: ignore[index]


def with_what_comes_of_it(document: Document) -> Iterator[Document]:
    """The object, the Job of a CronJob, and the pod that a controller makes of it."""
    yield document
    name = document["metadata"]["name"]
    if document["kind"] == "CronJob":
        template = document["spec"]["jobTemplate"]
        yield {
            "apiVersion": "batch/v1",
            "kind": "Job",
            **template,
            "metadata": {**template.get("metadata", {}), "name": name},
        }
    if document["kind"] != "Pod":
        template = pod_template(document)
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            **template,
            "metadata": {**template["metadata"], "name": name[:60]},
        }


def made_by_the_operator(documents: list[Document]) -> Iterator[Document]:
    """Of the WorkQueues of the chart and of some others, by an operator with the chart's environment."""
    container = pick(documents, "Deployment", "rowlock-operator")["spec"]["template"]["spec"]["containers"][0]
    given = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    installation = installation_of(settings.load(given))
    # An image that is not ours may need a writable root: who runs one under such a policy says that it does
    # not.
    exits = exit_queue(
        template={"image": "registry.example/resize:1", "securityContext": {"readOnlyRootFilesystem": True}}
    )
    for manifest in (*(d for d in documents if d["kind"] == "WorkQueue"), work_queue(), sdk_queue(), exits):
        queue = WorkQueue.parse({**manifest, "metadata": {**manifest["metadata"], "uid": "u"}})
        if queue.spec.is_workers:
            yield build_worker_deployment(queue=queue, installation=installation)
        else:
            run = RunToLaunch(
                run_id="01890a5d-ac96-774b-bcce-b302099a8057", attempt=1, task="report", args={"id": 1}
            )
            yield build_kube_job(queue=queue, installation=installation, run=run)


def test_policies_of_a_cluster_let_through_all_that_chart_and_operator_make(
    policed: KubeControlPlane,
) -> None:
    documents = render(*VALUES)
    objects = [*(d for d in documents if d["kind"] in POD_KINDS), *made_by_the_operator(documents)]
    tried = [one for document in objects for one in with_what_comes_of_it(document)]
    refused = {
        f"{one['kind']}/{one['metadata']['name']}": said for one in tried if (said := asked_for(policed, one))
    }
    assert refused == {}
    kinds = [one["kind"] for one in tried]
    assert {
        kind: kinds.count(kind) >= least
        for kind, least in (("Deployment", 9), ("Job", 7), ("CronJob", 4), ("Pod", 20))
    } == {
        "Deployment": True,
        "Job": True,
        "CronJob": True,
        "Pod": True,
    }


def _first(template: Document) -> Document:
    container: Document = template["spec"]["containers"][0]
    return container


WRONG: dict[str, Callable[[Document], object]] = {
    "registry": lambda t: _first(t).update(image="docker.io/library/rowlock:1"),
    "tag": lambda t: _first(t).update(image="registry.example/a/b"),
    "limits": lambda t: _first(t)["resources"]["limits"].pop("cpu"),
    "requests": lambda t: _first(t)["resources"]["requests"].pop("ephemeral-storage"),
    "labels of the pod": lambda t: t["metadata"]["labels"].pop("cost-centre"),
    "annotations of the pod": lambda t: t["metadata"]["annotations"].pop("example.com/owner"),
    "not root, by the pod": lambda t: t["spec"]["securityContext"].update(runAsNonRoot=False),
    "not root, by the container": lambda t: _first(t)["securityContext"].pop("runAsNonRoot"),
    "seccomp": lambda t: t["spec"]["securityContext"]["seccompProfile"].update(type="Unconfined"),
    "no escalation": lambda t: _first(t)["securityContext"].update(allowPrivilegeEscalation=True),
    "read-only root": lambda t: _first(t)["securityContext"].update(readOnlyRootFilesystem=False),
    "no capabilities": lambda t: _first(t)["securityContext"]["capabilities"].update(add=["CHOWN"]),
    "no token": lambda t: t["spec"].pop("automountServiceAccountToken"),
    "no folder of the node": (
        lambda t: t["spec"]["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    ),
    "no host namespace": lambda t: t["spec"].update(hostPID=True),
}


@pytest.mark.parametrize("kind", ["Deployment", "Job", "CronJob", "Pod"])
def test_each_policy_would_refuse_what_breaks_it(kind: str, policed: KubeControlPlane) -> None:
    """Negative twin: the same objects with one fault each."""
    documents = [
        d for d in render(*VALUES) if d["kind"] == kind and d["metadata"]["name"] != "rowlock-crds-upgrade"
    ]
    good = next(d for d in documents if "operator" not in d["metadata"]["name"])
    passed = []
    for asked, spoil in WRONG.items():
        document = copy.deepcopy(good)
        spoil(pod_template(document))
        if f"asked: {asked}" not in asked_for(policed, document):
            passed.append(asked)
    bare = json.loads(json.dumps(good))
    bare["metadata"]["labels"].pop("team")
    assert "asked: labels of the object" in asked_for(policed, bare)
    assert passed == []


def test_a_default_installation_has_limits_and_requests_everywhere() -> None:
    """Images and labels are an installation's own; the rest holds without a value."""
    for document in render():
        if document["kind"] in POD_KINDS:
            spec = pod_template(document)["spec"]
            for container in (*spec.get("initContainers", ()), *spec["containers"]):
                resources: dict[str, Any] = container["resources"]
                assert resources["limits"].keys() >= {"cpu", "memory"}, document["metadata"]["name"]
                assert resources["requests"].keys() >= {"cpu", "memory", "ephemeral-storage"}, document[
                    "metadata"
                ]["name"]
