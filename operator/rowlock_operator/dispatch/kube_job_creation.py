"""Creates the kube job of each claim."""

import asyncio
import logging
import time
from collections.abc import Callable

from rowlock_operator.api import reasons
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import KUBE_JOBS, SECRETS, Manifest
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.kube_jobs import build_kube_job, build_row_secret
from rowlock_operator.desired.runs import RunToLaunch
from rowlock_operator.dispatch import kube_job_fences
from rowlock_operator.dispatch.attempts import Attempt, AttemptTasks, KubeRunView, LauncherSettings
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.errors import Conflict, GiveUp, InvalidSpec
from rowlock_operator.observed.queues import Trouble, trouble
from rowlock_operator.rows.ledger import Launchable
from rowlock_operator.telemetry.metrics import Metrics

log = logging.getLogger("rowlock.dispatch")


class KubeJobCreation:
    """`work_queue(name)` is the WorkQueue of that namespace/name, None where it is gone."""

    def __init__(
        self,
        kube: KubeClient,
        view: KubeRunView,
        tasks: AttemptTasks,
        settings: LauncherSettings,
        *,
        installation: Installation,
        work_queue: Callable[[str], WorkQueue | None],
        metrics: Metrics,
    ) -> None:
        self._kube, self._view, self._tasks, self._settings = kube, view, tasks, settings
        self._installation, self._work_queue, self._metrics = installation, work_queue, metrics
        self._slots = asyncio.Semaphore(settings.parallel)
        self._refused_until: dict[str, float] = {}
        self.troubles: dict[str, Trouble] = {}  # work queue -> why its kube jobs are refused

    async def create_all(
        self, dispatcher: DatabaseDispatcher, entry: QueueEntry, attempts: list[Attempt], *, missing: bool = False
    ) -> None:
        """Begins to create the kube jobs of these claims; `missing`: they should have one already."""
        queue = self._work_queue(entry.name)
        if queue is None:
            return
        held = self._held(queue, attempts, missing=missing)
        wanted = {run_id: attempt for run_id, attempt in attempts if (run_id, attempt) not in self._tasks.busy and run_id not in held}
        if not wanted:
            return
        for run in await asyncio.to_thread(dispatcher.ledger.launchable, list(wanted)):
            attempt = (run.run_id, run.attempt)
            if wanted.get(run.run_id) == run.attempt and attempt not in self._tasks.busy:
                self._tasks.guarded(dispatcher, attempt, self._create(dispatcher, entry, queue, run))

    async def missing(self, dispatcher: DatabaseDispatcher, entry: QueueEntry, attempts: list[Attempt]) -> None:
        """Claims without a kube job: launched, or given back while the queue is suspended or gone."""
        if entry.suspended or self._work_queue(entry.name) is None:
            await asyncio.to_thread(dispatcher.ledger.unqueue, attempts)
        elif self._refused_until.get(entry.name, 0.0) < time.monotonic():
            self._tasks.start(dispatcher, self.create_all(dispatcher, entry, attempts, missing=True))

    def _held(self, queue: WorkQueue, attempts: list[Attempt], *, missing: bool) -> set[str]:
        """Runs that may have a process still: of an earlier attempt, or (`missing`) of a kube job of this one that somebody deleted.

        The WorkQueue tells of pods that stay (status/pod_problems.py); the next look comes back to them.
        """
        again = {run_id for run_id, attempt in attempts if attempt > 1 or missing}
        if not queue.spec.is_exit or not again:
            return set()
        if not self._view.synced():
            return again
        pods = self._view.pods().items()
        return {run_id for (run_id, _), pod in pods if run_id in again and not all(one.ended for one in (pod, *pod.others))}

    async def _create(self, dispatcher: DatabaseDispatcher, entry: QueueEntry, queue: WorkQueue, run: Launchable) -> None:
        async with self._slots:
            to_launch = RunToLaunch(run_id=run.run_id, attempt=run.attempt, task=run.task, args=run.args)
            try:
                manifest = build_kube_job(queue=queue, installation=self._installation, run=to_launch)
            except GiveUp as error:
                await self._refuse(dispatcher, run, error)
                return
            try:
                kube_job, created = await self._kube.create_once(KUBE_JOBS, manifest)
                if queue.spec.is_exit and queue.spec.row_delivery == "Secret":
                    secret = build_row_secret(queue=queue, run=to_launch, kube_job_uid=kube_job["metadata"]["uid"])
                    await self._create_row_secret(secret, anew=created)
            except GiveUp as error:
                self._metrics.launches.labels("refused").inc()
                self._refused_until[entry.name] = time.monotonic() + self._settings.refused_pause_seconds
                self.troubles[entry.name] = trouble(reasons.KUBE_JOB_REFUSED, why=error)
                log.warning("launch_refused", extra={"queue": entry.name, "why": str(error)})
                return
            self.troubles.pop(entry.name, None)
            self._metrics.launches.labels("created" if created else "found").inc()
            if not created:
                self._metrics.duplicate_prevented.labels(entry.name).inc()
            if created and run.attempt == 1:
                self._metrics.row_to_kube_job_seconds.labels(entry.name).observe(run.waited_seconds)

    async def _create_row_secret(self, secret: Manifest, *, anew: bool) -> None:
        """`anew`: its kube job was made by this call, so that a Secret of that name is of an earlier one, and goes with that (or, orphaned,
        never). Deleted, not taken over: that needs no right to read Secrets."""
        try:
            await self._kube.create(SECRETS, secret)
        except Conflict:
            if anew:
                await self._kube.delete(SECRETS, secret["metadata"]["namespace"], secret["metadata"]["name"])
                await self._kube.create(SECRETS, secret)

    async def _refuse(self, dispatcher: DatabaseDispatcher, run: Launchable, error: GiveUp) -> None:
        """A row that no pod can be built for is bad input; its reason goes into the ledger, not into a loop."""
        reason = error.reason if not isinstance(error, InvalidSpec) else "InvalidSpec"
        failed = {"class": "input", "reason": reason, "message": str(error)}
        await kube_job_fences.finish(dispatcher, run.run_id, run.attempt, token=run.run_id, failed=failed, start_first=True)
