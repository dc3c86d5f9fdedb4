"""Names, labels and annotations of everything we make; the only place that spells them, for those who build
and for those who read it back.
"""

from rowlock_operator.api.kinds import GROUP
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.errors import InvalidSpec

FIELD_MANAGER = "rowlock-operator"
# The container that we put into every pod of ours. What others inject beside it is no run of ours: the
# kubelet sorts containerStatuses by name, so that istio-proxy comes before it; native sidecars are in
# initContainerStatuses, debuggers in ephemeralContainerStatuses.
CONTAINER = "main"
SPEC_HASH = f"{GROUP}/spec-hash"
ROW = f"{GROUP}/row"
QUEUE_LABEL = f"{GROUP}/work-queue"
RUN_LABEL = f"{GROUP}/run"
ATTEMPT_LABEL = f"{GROUP}/attempt"
CONTRACT_LABEL = f"{GROUP}/contract"
MANAGED = {"app.kubernetes.io/managed-by": "rowlock"}
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
CHILDREN = f"{','.join(f'{key}={value}' for key, value in MANAGED.items())},{QUEUE_LABEL}"
"""Selects, in the API's words, everything that we make for WorkQueues."""
_WORKER = "-worker"


def worker_deployment_name(queue: str) -> str:
    """The Deployment of a WorkQueue's warm workers."""
    return f"{queue}{_WORKER}"


def queue_of_deployment(name: str) -> str:
    """The WorkQueue whose warm workers a Deployment of that name has: a deleted one has no labels to ask."""
    return name.removesuffix(_WORKER)


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
