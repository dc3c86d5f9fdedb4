"""Kube jobs whose attempt is over go."""

import logging
import time
from collections.abc import Callable

from rowlock_operator.api import reasons
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import KUBE_JOBS
from rowlock_operator.dispatch.attempts import Attempt, AttemptTasks, LauncherSettings
from rowlock_operator.dispatch.backoff import Backoffs
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.errors import Conflict, GiveUp, NotFound, RowlockError
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.queues import Trouble, trouble

log = logging.getLogger("rowlock.dispatch")


class KubeJobClearing:
    """`work_queue(name)` is the WorkQueue of that namespace/name, None where it is gone."""

    def __init__(
        self,
        kube: KubeClient,
        tasks: AttemptTasks,
        settings: LauncherSettings,
        *,
        work_queue: Callable[[str], WorkQueue | None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._kube, self._tasks, self._settings, self._work_queue = kube, tasks, settings, work_queue
        self._on_trouble = on_trouble
        self._orphan_since: dict[str, float] = {}
        self._refused = Backoffs[str]()  # by uid
        # work queue -> uid -> name, and why it could not be deleted
        self._stay: dict[str, dict[str, tuple[str, RowlockError]]] = {}
        self.troubles: dict[str, Trouble] = {}  # work queue -> the same, told

    def orphans(
        self,
        dispatcher: DatabaseDispatcher,
        queues: set[str],
        kube_jobs: dict[Attempt, KubeJobSeen],
        in_hand: set[Attempt],
    ) -> None:
        """Begins to delete kube jobs whose attempt is over, each by itself: ended ones at once, running ones
        may end by themselves for a while.
        """
        now, existing = time.monotonic(), {kube_job.uid for kube_job in kube_jobs.values()}
        self._orphan_since = {uid: since for uid, since in self._orphan_since.items() if uid in existing}
        for name in queues & self._stay.keys():
            for uid in self._stay[name].keys() - existing:
                self._gone(name, uid)
        for attempt, kube_job in kube_jobs.items():
            name = f"{kube_job.namespace}/{kube_job.work_queue}"
            if (
                attempt in in_hand
                or attempt in self._tasks.busy
                or kube_job.deleting
                or name not in queues
                or self._refused.left(kube_job.uid)
            ):
                continue
            queue = self._work_queue(name)
            # Under contract Exit nobody else would end it; a pod of ours ends by itself once the fence has
            # refused it.
            if (
                kube_job.ended
                or kube_job.held  # it would wait for ever
                or (queue is not None and queue.spec.is_exit)
                or now - self._orphan_since.setdefault(kube_job.uid, now) > self._settings.orphan_seconds
            ):
                self._tasks.guarded(dispatcher, attempt, self.clear(kube_job))

    async def clear(self, kube_job: KubeJobSeen) -> None:
        """Its outcome is recorded: it may go. Where we may not delete it, Kubernetes does so `ttlSeconds`
        after its end; where it stays for all that, it is told, and tried again later and later: no run waits
        for it.
        """
        if kube_job.ended and kube_job.has_ttl:
            return
        name = f"{kube_job.namespace}/{kube_job.work_queue}"
        try:
            await self._clear(kube_job, name)
        except (NotFound, Conflict):  # gone, or another one of this name
            self._gone(name, kube_job.uid)
        except RowlockError as error:
            self._stay.setdefault(name, {})[kube_job.uid] = (kube_job.name, error)
            told = self._tell(name)
            self._refused.failed(kube_job.uid, told)
            log.warning(
                "kube_job_not_deleted",
                extra={"kube_job": f"{kube_job.namespace}/{kube_job.name}", "why": str(error)},
            )
        else:
            self._gone(name, kube_job.uid)

    async def _clear(self, kube_job: KubeJobSeen, name: str) -> None:
        try:
            await self.delete(kube_job)
        except GiveUp:
            queue = self._work_queue(name)
            if queue is None:
                raise
            patch = {
                "metadata": {"uid": kube_job.uid},
                "spec": {"ttlSecondsAfterFinished": queue.spec.ttl_seconds},
            }
            await self._kube.merge_patch(KUBE_JOBS, kube_job.namespace, kube_job.name, patch)

    def _gone(self, name: str, uid: str) -> None:
        self._refused.worked(uid)
        if self._stay.get(name, {}).pop(uid, None) is not None:
            self._tell(name)

    def _tell(self, name: str) -> Trouble:
        stay = self._stay[name]
        self._on_trouble(name)
        if not stay:
            del self._stay[name]
            return self.troubles.pop(name)
        kube_job, error = min(stay.values(), key=lambda each: each[0])
        self.troubles[name] = trouble(
            reasons.KUBE_JOB_NOT_DELETED, count=len(stay), kube_job=kube_job, why=error
        )
        return self.troubles[name]

    async def delete(self, kube_job: KubeJobSeen) -> None:
        """Ends its pod, too. This very one: another of the same name stays."""
        await self._kube.delete(KUBE_JOBS, kube_job.namespace, kube_job.name, uid=kube_job.uid)
