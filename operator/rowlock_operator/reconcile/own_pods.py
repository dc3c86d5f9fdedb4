"""The installation's own Deployments leave evicted pods, too: the operator's, and the embedded Redis'."""

import asyncio
import logging
import time
from collections.abc import Callable

from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import DEPLOYMENTS, PODS
from rowlock_operator.errors import RowlockError
from rowlock_operator.observed.pods import observe_pod
from rowlock_operator.reconcile.ended_pods import EndedPods

log = logging.getLogger("rowlock.reconcile")
SELECTOR = (
    "app.kubernetes.io/part-of=rowlock"  # of every release in the namespace: whose it is does not matter
)
LOOK_SECONDS = 60.0


class OwnPods:
    """Told in the log alone: no object of ours stands for an installation. Pods of Jobs and StatefulSets are
    cleared by their own.
    """

    def __init__(self, kube: KubeClient, namespace: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._namespace, self._ended = kube, namespace, EndedPods(kube, clock)
        self._told: set[str] = set()

    async def run(self) -> None:
        """Looks again and again until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """One look; what the API server refuses is logged and tried again."""
        try:
            manifests = await self._kube.list(PODS, self._namespace, label_selector=SELECTOR)
        except RowlockError as error:
            log.warning("own_pods_not_seen", extra={"why": str(error)})
            return
        replaced = (
            m
            for m in manifests
            if any(o["kind"] == "ReplicaSet" for o in m["metadata"].get("ownerReferences") or ())
        )
        pods = [
            pod
            for pod in map(observe_pod, replaced)
            if pod.phase in ("Failed", "Succeeded") and not pod.deleting
        ]
        for pod in pods:
            if pod.name not in self._told:
                log.warning(
                    "own_pod_ended", extra={"pod": pod.name, "reason": pod.reason, "why": pod.message}
                )
        self._told = {pod.name for pod in pods}
        key = ObjectKey(DEPLOYMENTS.plural, self._namespace, "own")
        if in_the_way := await self._ended.clear(key, [pod.name for pod in pods]):
            log.warning("own_pod_not_cleared", extra={"why": in_the_way.message})
