"""What exists of the objects we make: Deployments, kube jobs and pods, kept by label and compacted."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.informer import Informer
from rowlock_operator.cluster.kinds import DEPLOYMENTS, KUBE_JOBS, PODS, Manifest, ObjectKey
from rowlock_operator.observed.deployments import DeploymentSeen, observe_deployment
from rowlock_operator.observed.kube_jobs import KubeJobSeen, observe_kube_job
from rowlock_operator.observed.pods import PodSeen, observe_pod
from rowlock_operator.observed.reading import label

SELECTOR = "app.kubernetes.io/managed-by=rowlock,rowlock.dev/work-queue"
Attempt = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Owned:
    """A pod of ours and whose it is; `attempt` only for pods of kube jobs."""

    work_queue: str
    attempt: Attempt | None
    pod: PodSeen


def _owned(manifest: Manifest) -> _Owned:
    run_id, attempt = label(manifest, "rowlock.dev/run"), label(manifest, "rowlock.dev/attempt") or ""
    return _Owned(
        label(manifest, "rowlock.dev/work-queue") or "",
        (run_id, int(attempt)) if run_id and attempt.isdecimal() else None,
        observe_pod(manifest),
    )


class Children:
    """`on_queue(namespace, name)` is told when something of a WorkQueue changed, `on_run()` when a kube job or its pod did."""

    def __init__(
        self, client: KubeClient, namespaces: Sequence[str | None], *, on_queue: Callable[[str, str], None], on_run: Callable[[], None]
    ) -> None:
        self._on_queue, self._on_run = on_queue, on_run
        self._deployments: Informer[DeploymentSeen] = Informer(
            client,
            DEPLOYMENTS,
            namespaces=namespaces,
            label_selector=SELECTOR,
            compact=observe_deployment,
            on_change=self._deployment_changed,
        )
        # A kube job with our labels but without a run is kept as False: the informer knows no None.
        self._kube_jobs: Informer[KubeJobSeen | bool] = Informer(
            client,
            KUBE_JOBS,
            namespaces=namespaces,
            label_selector=SELECTOR,
            compact=lambda m: observe_kube_job(m) or False,
            on_change=self._run_changed,
        )
        self._pods: Informer[_Owned] = Informer(
            client, PODS, namespaces=namespaces, label_selector=SELECTOR, compact=_owned, on_change=self._pod_changed
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
        return {(seen.run_id, seen.attempt): seen for _, seen in self._kube_jobs.items() if isinstance(seen, KubeJobSeen)}

    def unfinished_kube_jobs(self, namespace: str, work_queue: str) -> int:
        return sum(
            1 for seen in self.kube_jobs().values() if (seen.namespace, seen.work_queue) == (namespace, work_queue) and not seen.ended
        )

    def queue_pods(self, namespace: str, work_queue: str) -> list[PodSeen]:
        return [owned.pod for key, owned in self._pods.items() if key.namespace == namespace and owned.work_queue == work_queue]

    def pods(self) -> dict[Attempt, PodSeen]:
        """The pods of kube jobs, by attempt."""
        found: dict[Attempt, list[PodSeen]] = defaultdict(list)
        for _, owned in self._pods.items():
            if owned.attempt is not None:
                found[owned.attempt].append(owned.pod)
        return {attempt: max(pods, key=lambda pod: pod.name) for attempt, pods in found.items()}

    def _deployment_changed(self, key: ObjectKey) -> None:
        # The name says whose it is (names.py); a deleted one has no labels to ask any more.
        self._on_queue(key.namespace, key.name.removesuffix("-worker"))

    def _run_changed(self, _key: ObjectKey) -> None:
        self._on_run()

    def _pod_changed(self, key: ObjectKey) -> None:
        owned = self._pods.get(key)
        if owned is None or owned.attempt is not None:
            self._on_run()
        if owned is not None:
            self._on_queue(key.namespace, owned.work_queue)
