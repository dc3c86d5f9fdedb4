"""Kube jobs whose attempt is over go."""

import time
from collections.abc import Callable

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import KUBE_JOBS
from rowlock_operator.dispatch.attempts import Attempt, AttemptTasks, LauncherSettings
from rowlock_operator.errors import GiveUp, RowlockError
from rowlock_operator.observed.kube_jobs import KubeJobSeen


class KubeJobClearing:
    """`work_queue(name)` is the WorkQueue of that namespace/name, None where it is gone."""

    def __init__(
        self, kube: KubeClient, tasks: AttemptTasks, settings: LauncherSettings, *, work_queue: Callable[[str], WorkQueue | None]
    ) -> None:
        self._kube, self._tasks, self._settings, self._work_queue = kube, tasks, settings, work_queue
        self._orphan_since: dict[str, float] = {}

    async def orphans(self, queues: set[str], kube_jobs: dict[Attempt, KubeJobSeen], in_hand: set[Attempt]) -> None:
        """Kube jobs whose attempt is over: ended ones go at once, running ones may end by themselves for a while."""
        now, refused = time.monotonic(), None
        orphans = {
            kube_job.uid: kube_job
            for attempt, kube_job in kube_jobs.items()
            if attempt not in in_hand
            and attempt not in self._tasks.busy
            and not kube_job.deleting
            and f"{kube_job.namespace}/{kube_job.work_queue}" in queues
        }
        existing = {kube_job.uid for kube_job in kube_jobs.values()}
        self._orphan_since = {uid: since for uid, since in self._orphan_since.items() if uid in existing}
        for uid, kube_job in orphans.items():
            queue = self._work_queue(f"{kube_job.namespace}/{kube_job.work_queue}")
            # Under contract Exit nobody else would end it; a pod of ours ends by itself once the fence has refused it.
            if (
                kube_job.ended
                or (queue is not None and queue.spec.is_exit)
                or now - self._orphan_since.setdefault(uid, now) > self._settings.orphan_seconds
            ):
                try:
                    await self.clear(kube_job)
                except RowlockError as error:
                    refused = error  # the others go all the same
        if refused is not None:
            raise refused

    async def clear(self, kube_job: KubeJobSeen) -> None:
        """Its outcome is recorded: it may go. Where we may not delete it, Kubernetes does so `ttlSeconds` after its end."""
        if kube_job.ended and kube_job.has_ttl:
            return
        try:
            await self.delete(kube_job)
        except GiveUp:
            queue = self._work_queue(f"{kube_job.namespace}/{kube_job.work_queue}")
            if queue is None:
                raise
            patch = {"metadata": {"uid": kube_job.uid}, "spec": {"ttlSecondsAfterFinished": queue.spec.ttl_seconds}}
            await self._kube.merge_patch(KUBE_JOBS, kube_job.namespace, kube_job.name, patch)

    async def delete(self, kube_job: KubeJobSeen) -> None:
        """Ends its pod, too. This very one: another of the same name stays."""
        await self._kube.delete(KUBE_JOBS, kube_job.namespace, kube_job.name, uid=kube_job.uid)
