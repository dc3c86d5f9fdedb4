"""Writes the number of a queue's workers, unless somebody else scales the same Deployment."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from rowlock_operator.api import reasons
from rowlock_operator.api.labels import FIELD_MANAGER
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import DEPLOYMENTS
from rowlock_operator.cluster.scalers import Scalers
from rowlock_operator.decide.contest import Contest, ForeignWrite
from rowlock_operator.errors import GiveUp, RetryLater
from rowlock_operator.observed.deployments import DeploymentSeen, observe_deployment
from rowlock_operator.observed.queues import Trouble, trouble

HPA_CONTROLLER = "kube-controller-manager"  # of its parts only that of the autoscalers writes through /scale

LATE_SECONDS = 10.0  # a watch may be so late


@dataclass(frozen=True, slots=True)
class _Written:
    """The Deployment as our last write has left it."""

    seen: DeploymentSeen
    at: float

    def is_newer(self, other: DeploymentSeen, now: float) -> bool:
        """Whether the other sighting is of before that write. Not for long: after a restore of etcd
        generations are lower for ever."""
        return other.generation < self.seen.generation and now - self.at < LATE_SECONDS


class Replicas:
    """What it remembers makes it milder only: after a restart a foreign writer is answered once more."""

    def __init__(self, kube: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._clock, self._scalers = kube, clock, Scalers(kube, clock)
        self._contests: dict[str, Contest] = {}
        self._written: dict[str, _Written] = {}
        self._scaled: set[str] = set()  # WorkQueues whose autoscaler was told of

    async def scale(self, queue: WorkQueue, seen: DeploymentSeen, wanted: int | None) -> list[Trouble]:
        """`wanted` None: as it is. Returns who else scales it. Raises what the API server says."""
        meta, now = queue.metadata, self._clock()
        differs = wanted is not None and wanted != seen.spec_replicas
        if differs or meta.key in self._scaled:
            scaler = await self._scaler(meta.namespace, seen)
            if scaler is not None:
                self._scaled.add(meta.key)
                return [
                    trouble(reasons.SCALED_BY_OTHER, scaler=scaler, deployment=seen.name, queue=meta.name)
                ]
            self._scaled.discard(meta.key)
        contest, ours = self._contests.get(meta.key, Contest()), self._written.get(meta.key)
        if ours is not None and ours.seen.uid != seen.uid:
            ours = None
        if differs and wanted is not None and not (ours is not None and ours.is_newer(seen, now)):
            writer = _foreign_writer(seen, ours.seen if ours is not None else None)
            if writer:
                contest = contest.met(
                    ForeignWrite(writer, seen.replicas_at, seen.spec_replicas, seen.generation), now
                )
            if not writer or contest.may_write(now):
                await self._write(queue, seen, wanted)
                contest = contest.wrote(now) if writer else contest
            self._contests[meta.key] = contest
        if not contest.lasts(now):
            return []
        return [
            trouble(reasons.REPLICAS_CONTESTED, writer=contest.writer, deployment=seen.name, queue=meta.name)
        ]

    async def _write(self, queue: WorkQueue, seen: DeploymentSeen, replicas: int) -> None:
        """Through the Deployment itself: a 0 written through /scale has no writer in managedFields, and
        neither has any number after it. Where a policy or webhook for Deployments refuses that, through
        /scale, which they seldom cover."""
        meta, patch = queue.metadata, {"metadata": {"uid": seen.uid}, "spec": {"replicas": replicas}}
        try:
            written = observe_deployment(
                await self._kube.merge_patch(DEPLOYMENTS, meta.namespace, seen.name, patch)
            )
        except (GiveUp, RetryLater):
            await self._kube.patch_scale(DEPLOYMENTS, meta.namespace, seen.name, replicas)
            written = replace(seen, spec_replicas=replicas, generation=seen.generation + 1)
        self._written[meta.key] = _Written(written, self._clock())

    async def _scaler(self, namespace: str, seen: DeploymentSeen) -> str | None:
        found = await self._scalers.of(namespace, seen.name)
        if found is None and not self._scalers.may_look(namespace):
            by_autoscaler = (seen.replicas_by, seen.replicas_through) == (HPA_CONTROLLER, "scale")
            return "A HorizontalPodAutoscaler" if by_autoscaler else None
        return found

    def forget(self, key: str) -> None:
        """The WorkQueue is gone, or not ours."""
        self._contests.pop(key, None)
        self._written.pop(key, None)
        self._scaled.discard(key)


def _foreign_writer(seen: DeploymentSeen, ours: DeploymentSeen | None) -> str:
    """Who else wrote the number that is there; "" where we did."""
    if seen.replicas_by not in ("", FIELD_MANAGER):
        return seen.replicas_by
    changed = (
        ours is not None and seen.generation > ours.generation and seen.spec_replicas != ours.spec_replicas
    )
    return "Somebody" if changed and not seen.replicas_by else ""
