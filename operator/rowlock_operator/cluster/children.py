"""What exists of the objects we make: Deployments, kube jobs and pods, kept by label and compacted."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from rowlock_operator.api.labels import CHILDREN, queue_of_deployment
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.informer import Informer
from rowlock_operator.cluster.kinds import DEPLOYMENTS, KUBE_JOBS, PODS
from rowlock_operator.observed.deployments import DeploymentSeen, observe_deployment
from rowlock_operator.observed.kube_jobs import KubeJobSeen, observe_kube_job
from rowlock_operator.observed.pods import OwnedPod, PodSeen, newest, observe_owned_pod

Attempt = tuple[str, int]
GONE_PODS = 4096  # whose last state is kept


class _Owners:
    """Which WorkQueue each object of a kind is of, and the other way round: a look at one queue must not read
    the pods of all.
    """

    def __init__(self) -> None:
        self._owner: dict[ObjectKey, str] = {}
        self._of: defaultdict[tuple[str, str], set[ObjectKey]] = defaultdict(set)

    def of(self, namespace: str, work_queue: str) -> tuple[ObjectKey, ...]:
        return tuple(self._of.get((namespace, work_queue), ()))

    def note(self, key: ObjectKey, work_queue: str | None) -> str | None:
        """Takes in whose the object is (None: it is gone); returns whose it is, or was."""
        before = self._owner.get(key)
        if before is not None and before != work_queue:
            place = (key.namespace, before)
            self._of[place].discard(key)
            if not self._of[place]:
                del self._of[place]
            del self._owner[key]
        if work_queue is not None:
            self._owner[key] = work_queue
            self._of[key.namespace, work_queue].add(key)
        return before if work_queue is None else work_queue


class Children:
    """`on_queue(namespace, name)` is told when something of a WorkQueue changed, `on_run()` when a kube job
    or its pod did, `on_pod(key, pod)` when a pod did (None: it is gone).
    """

    def __init__(
        self,
        client: KubeClient,
        namespaces: Sequence[str | None],
        *,
        on_queue: Callable[[str, str], None],
        on_run: Callable[[], None],
        on_pod: Callable[[ObjectKey, OwnedPod | None], None] = lambda _key, _pod: None,
    ) -> None:
        self._on_queue, self._on_run, self._on_pod = on_queue, on_run, on_pod
        self._pod_owners, self._kube_job_owners = _Owners(), _Owners()
        self._last_pods: dict[ObjectKey, OwnedPod] = {}  # of kube jobs, as of the last change
        self._gone_pods: dict[Attempt, PodSeen] = {}  # the oldest first
        self._deployments: Informer[DeploymentSeen] = Informer(
            client,
            DEPLOYMENTS,
            namespaces=namespaces,
            label_selector=CHILDREN,
            compact=observe_deployment,
            on_change=self._deployment_changed,
        )
        # A kube job with our labels but without a run is kept as False: the informer knows no None.
        self._kube_jobs: Informer[KubeJobSeen | bool] = Informer(
            client,
            KUBE_JOBS,
            namespaces=namespaces,
            label_selector=CHILDREN,
            compact=lambda m: observe_kube_job(m) or False,
            on_change=self._run_changed,
        )
        self._pods: Informer[OwnedPod] = Informer(
            client,
            PODS,
            namespaces=namespaces,
            label_selector=CHILDREN,
            compact=observe_owned_pod,
            on_change=self._pod_changed,
        )

    async def run(self) -> None:
        """Follows all three until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in (self._deployments, self._kube_jobs, self._pods):
                group.create_task(informer.run())

    def synced(self) -> bool:
        """Whether all three were listed once: before that, absence means nothing."""
        return all(informer.synced.is_set() for informer in (self._deployments, self._kube_jobs, self._pods))

    async def wait_synced(self) -> None:
        for informer in (self._deployments, self._kube_jobs, self._pods):
            await informer.synced.wait()

    def silent_seconds(self) -> float:
        """How long the quietest watch has said nothing."""
        return max(informer.silent_seconds() for informer in (self._deployments, self._kube_jobs, self._pods))

    def deployment(self, namespace: str, name: str) -> DeploymentSeen | None:
        return self._deployments.get(ObjectKey(DEPLOYMENTS.plural, namespace, name))

    def kube_jobs(self) -> dict[Attempt, KubeJobSeen]:
        """All kube jobs of ours, by attempt."""
        return {
            (seen.run_id, seen.attempt): seen
            for _, seen in self._kube_jobs.items()
            if isinstance(seen, KubeJobSeen)
        }

    def unfinished_kube_jobs(self, namespace: str, work_queue: str) -> int:
        owned = (self._kube_jobs.get(key) for key in self._kube_job_owners.of(namespace, work_queue))
        return sum(1 for seen in owned if isinstance(seen, KubeJobSeen) and not seen.ended)

    def held_kube_jobs(self, namespace: str, work_queue: str) -> tuple[str, ...]:
        """Names of those that somebody else suspended."""
        owned = (self._kube_jobs.get(key) for key in self._kube_job_owners.of(namespace, work_queue))
        return tuple(
            seen.name for seen in owned if isinstance(seen, KubeJobSeen) and seen.held and not seen.deleting
        )

    def podless_kube_jobs(self, namespace: str, work_queue: str) -> list[KubeJobSeen]:
        """Unfinished kube jobs that should have a pod and have none (yet)."""
        owned = (self._kube_jobs.get(key) for key in self._kube_job_owners.of(namespace, work_queue))
        pods = (self._pods.get(key) for key in self._pod_owners.of(namespace, work_queue))
        attempts = {pod.attempt for pod in pods if pod is not None}
        unfinished = (
            seen
            for seen in owned
            if isinstance(seen, KubeJobSeen) and not (seen.ended or seen.deleting or seen.held)
        )
        return [seen for seen in unfinished if (seen.run_id, seen.attempt) not in attempts]

    def every_pod(self) -> Iterator[tuple[ObjectKey, OwnedPod]]:
        return self._pods.items()

    def queue_pods(self, namespace: str, work_queue: str) -> list[PodSeen]:
        found = (self._pods.get(key) for key in self._pod_owners.of(namespace, work_queue))
        return [owned.pod for owned in found if owned is not None]

    def ended_pods(self, namespace: str, work_queue: str) -> list[PodSeen]:
        """Pods of a WorkQueue that have ended for good and that nobody clears away: no kube job stands behind
        them (any more).
        """
        kube_jobs = (self._kube_jobs.get(key) for key in self._kube_job_owners.of(namespace, work_queue))
        owners = {seen.uid for seen in kube_jobs if isinstance(seen, KubeJobSeen)}
        ended = (
            pod
            for pod in self.queue_pods(namespace, work_queue)
            if pod.phase in ("Failed", "Succeeded") and not pod.deleting
        )
        return [pod for pod in ended if pod.owner_uid not in owners]

    def pods(self) -> dict[Attempt, PodSeen]:
        """The newest pod of each attempt, with the others: a kube job that was deleted and made again may
        have left one.
        """
        found: dict[Attempt, list[PodSeen]] = defaultdict(list)
        for _, owned in self._pods.items():
            if owned.attempt is not None:
                found[owned.attempt].append(owned.pod)
        return {attempt: last for attempt, pods in found.items() if (last := newest(pods)) is not None}

    def last_pod(self, attempt: Attempt) -> PodSeen | None:
        """The last that was seen of a pod that is gone; None where that is too long ago, or was before our
        time.
        """
        return self._gone_pods.get(attempt)

    def _keep_last(self, key: ObjectKey, owned: OwnedPod | None) -> None:
        if owned is not None:
            if owned.attempt is not None:
                self._last_pods[key] = owned
            return
        last = self._last_pods.pop(key, None)
        if last is not None and last.attempt is not None:
            self._gone_pods.pop(last.attempt, None)
            self._gone_pods[last.attempt] = last.pod
            if len(self._gone_pods) > GONE_PODS:
                del self._gone_pods[next(iter(self._gone_pods))]

    def _deployment_changed(self, key: ObjectKey) -> None:
        self._on_queue(key.namespace, queue_of_deployment(key.name))

    def _run_changed(self, key: ObjectKey) -> None:
        seen = self._kube_jobs.get(key)
        self._kube_job_owners.note(key, seen.work_queue if isinstance(seen, KubeJobSeen) else None)
        self._on_run()

    def _pod_changed(self, key: ObjectKey) -> None:
        owned = self._pods.get(key)
        self._on_pod(key, owned)
        self._keep_last(key, owned)
        queue = self._pod_owners.note(key, owned.work_queue if owned is not None else None)
        if owned is None or owned.attempt is not None:
            self._on_run()
        if queue is not None:
            self._on_queue(key.namespace, queue)
