"""What exists of the objects that were made for one WorkQueue, as one value."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rowlock_operator.api.labels import worker_deployment_name
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.cluster.children import Children
from rowlock_operator.dispatch.pod_ends import PodEnds
from rowlock_operator.observed.deployments import DeploymentSeen
from rowlock_operator.observed.pods import PodSeen
from rowlock_operator.observed.queues import PodProblem
from rowlock_operator.status.pod_problems import missing_pods, pod_problems, running_pods, unready_worker


@dataclass(frozen=True)
class QueueChildren:
    """What the informers know of one WorkQueue."""

    deployment: DeploymentSeen | None
    unfinished_kube_jobs: int
    pod_problems: tuple[PodProblem, ...]
    running_pods: int = 0
    unready_worker: PodSeen | None = None
    ended_pods: tuple[PodSeen, ...] = ()
    held_kube_jobs: tuple[str, ...] = ()  # names of those that somebody else suspended
    recent_ends: tuple[PodProblem, ...] = ()


class QueueChildrenReader:
    """Reads the informers' memory; asks nobody."""

    def __init__(self, children: Children, pod_ends: PodEnds, *, now: Callable[[], datetime]) -> None:
        self._children, self._pod_ends, self._now = children, pod_ends, now

    def of(self, key: ObjectKey) -> QueueChildren:
        """Of one WorkQueue, now."""
        children, namespace, name = self._children, key.namespace, key.name
        pods, now = children.queue_pods(namespace, name), self._now()
        return QueueChildren(
            deployment=children.deployment(namespace, worker_deployment_name(name)),
            unfinished_kube_jobs=children.unfinished_kube_jobs(namespace, name),
            running_pods=running_pods(pods),
            unready_worker=unready_worker(pods),
            held_kube_jobs=children.held_kube_jobs(namespace, name),
            pod_problems=pod_problems(pods, now)
            + missing_pods(children.podless_kube_jobs(namespace, name), now),
            ended_pods=tuple(children.ended_pods(namespace, name)),
            recent_ends=self._pod_ends.recent(f"{namespace}/{name}"),
        )
