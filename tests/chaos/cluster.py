"""The harness's own Kubernetes: what an installation has before its operators start."""

import base64
import json
from pathlib import Path
from typing import Any

from tests.chaos import workload
from tests.chaos.workload import NAMESPACE
from tests.services.kube import KubeControlPlane, install_definitions
from tests.services.operator_room import GROUP
from tests.services.process import wait_until

_PLURALS = {"WorkQueue": "workqueues", "RowSource": "rowsources"}
_WEBHOOKS, _WEBHOOK = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "dead"


def write_kubeconfig(plane: KubeControlPlane, path: Path, *, port: int) -> None:
    """The administrator's kubeconfig, towards the same API server behind another port."""
    config = json.loads(plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))


def prepare(plane: KubeControlPlane, *, database: dict[str, str], redis: dict[str, str]) -> None:
    """Definitions, namespace, the two Secrets, WorkQueues and RowSources."""
    install_definitions(plane)
    _must(
        plane,
        "POST",
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
    )
    account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
    wait_until(lambda: plane.request("GET", account)[0] == 200, "the default service account", 30)
    for name, values in (("rowlock-database", database), ("rowlock-redis", redis)):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
        _must(plane, "POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", secret)
    for manifest in (*workload.queues(jobs=True), *workload.sources(jobs=True)):
        _must(
            plane,
            "POST",
            f"{GROUP}/namespaces/{NAMESPACE}/{_PLURALS[manifest['kind']]}?fieldValidation=Strict",
            manifest,
        )


def lease_holder(plane: KubeControlPlane) -> str:
    """The identity of the leader; empty where nobody leads."""
    status, lease = plane.request(
        "GET", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/rowlock-operator"
    )
    return str(lease["spec"].get("holderIdentity") or "") if status == 200 else ""


def kube_jobs(plane: KubeControlPlane) -> int:
    """How many there are, ended ones too."""
    return len(_must(plane, "GET", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs")["items"])


def evict(plane: KubeControlPlane, pod: str) -> bool:
    """As `kubectl drain` asks for it; False where the pod is gone already."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": NAMESPACE},
    }
    return plane.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction", eviction)[0] == 201


def delete_pod(plane: KubeControlPlane, pod: str) -> bool:
    """As `kubectl delete pod` does; False where it is gone already."""
    return plane.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}")[0] == 200


def fail_webhook(plane: KubeControlPlane, *, port: int) -> None:
    """An admission webhook of somebody's is called at `port`, where nobody answers: every creation in the
    namespace is answered with 500.
    """
    webhook = {
        "name": "guard.policies.example",
        "clientConfig": {
            "url": f"https://127.0.0.1:{port}/",
            "caBundle": base64.b64encode(plane.ca).decode(),
        },
        "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["*"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 3,
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    _must(plane, "POST", _WEBHOOKS, {**kind, "metadata": {"name": _WEBHOOK}, "webhooks": [webhook]})


def mend_webhook(plane: KubeControlPlane) -> None:
    """Nobody is asked any more; also where an older etcd knows of no webhook, or knows of it again."""
    plane.request("DELETE", f"{_WEBHOOKS}/{_WEBHOOK}")


def _must(plane: KubeControlPlane, method: str, path: str, body: Any = None) -> Any:
    status, answer = plane.request(method, path, body)
    if not 200 <= status < 300:
        raise RuntimeError(f"{method} {path}: {status} {answer}")
    return answer
