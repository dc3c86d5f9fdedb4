"""Names, labels and owners of everything we make; the only place that spells them."""

from typing import Any

from rowlock_operator.api.meta import API_VERSION, Meta
from rowlock_operator.errors import InvalidSpec
from rowlock_operator.observed.pods import CONTAINER as CONTAINER  # what is read back is what was built

Manifest = dict[str, Any]

FIELD_MANAGER = "rowlock-operator"
SPEC_HASH = "rowlock.dev/spec-hash"
ROW = "rowlock.dev/row"
QUEUE_LABEL = "rowlock.dev/work-queue"
RUN_LABEL = "rowlock.dev/run"
ATTEMPT_LABEL = "rowlock.dev/attempt"
CONTRACT_LABEL = "rowlock.dev/contract"
MANAGED = {"app.kubernetes.io/managed-by": "rowlock"}
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"


def worker_deployment_name(queue: str) -> str:
    """The Deployment of a WorkQueue's warm workers."""
    return f"{queue}-worker"


def kube_job_name(queue: str, run_id: str, attempt: int) -> str:
    """The kube job of one attempt: the same attempt has the same name, so a second creation is a 409.

    Raises InvalidSpec where the parts would make a name over 63 characters.
    """
    name = f"{queue[:20]}-{run_id.replace('-', '')}-{attempt}"
    if len(name) > 63:
        raise InvalidSpec("attempt", f"{attempt} is too large for the name of a kube job")
    return name


def queue_labels(queue: str) -> dict[str, str]:
    """On everything we make for a WorkQueue."""
    return {**MANAGED, QUEUE_LABEL: queue}


def queue_of(child: Manifest) -> str | None:
    """The WorkQueue that the labels of a child of ours name; None where they are not ours."""
    labels = child["metadata"].get("labels") or {}
    return labels.get(QUEUE_LABEL) if labels.items() >= MANAGED.items() else None


def worker_labels(queue: str) -> dict[str, str]:
    """On the worker Deployment and its pods; `component` keeps pods of kube jobs out of its selector."""
    return {**queue_labels(queue), COMPONENT: "worker"}


def worker_selector(queue: str) -> dict[str, str]:
    """Selector of the worker pods. A Deployment's selector cannot be changed: from the name alone."""
    return {QUEUE_LABEL: queue, COMPONENT: "worker"}


def run_selector(queue: str) -> dict[str, str]:
    """Selector of the pods of a WorkQueue's kube jobs."""
    return {QUEUE_LABEL: queue, COMPONENT: "run"}


def run_labels(queue: str, run_id: str, attempt: int) -> dict[str, str]:
    """On a kube job and its pod."""
    return {**queue_labels(queue), COMPONENT: "run", RUN_LABEL: run_id, ATTEMPT_LABEL: str(attempt)}


def selector_text(labels: dict[str, str]) -> str:
    """A selector as the scale subresource and the API's query want it."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def owner_reference(meta: Meta, kind: str = "WorkQueue") -> Manifest:
    """Kubernetes deletes the child with this owner."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
