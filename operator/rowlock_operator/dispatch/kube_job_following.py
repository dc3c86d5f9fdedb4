"""Follows an attempt from its kube job and pod into the ledger: its start under contract Exit, and its end."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.adoption import adopt
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import KUBE_JOBS
from rowlock_operator.decide.outcome import Failed, Outcome, Started, Succeeded, decide_orphan, decide_outcome
from rowlock_operator.decide.ownership import Whose, whose
from rowlock_operator.desired.names import kube_job_name
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.kube_job_clearing import KubeJobClearing
from rowlock_operator.dispatch.kube_job_fences import finish, start
from rowlock_operator.dispatch.sightings import Sightings
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.errors import RowlockError
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen, of_owner
from rowlock_operator.rows.ledger import KubeRun
from rowlock_operator.telemetry.metrics import Metrics

log = logging.getLogger("rowlock.dispatch")


class KubeJobFollowing:
    """`work_queue(name)` is the WorkQueue of that namespace/name, None where it is gone."""

    def __init__(
        self,
        kube: KubeClient,
        clearing: KubeJobClearing,
        *,
        work_queue: Callable[[str], WorkQueue | None],
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._kube, self._clearing, self._work_queue, self._metrics, self._now = kube, clearing, work_queue, metrics, now
        self.sightings = Sightings(now)

    async def follow(
        self, dispatcher: DatabaseDispatcher, entry: QueueEntry, run: KubeRun, kube_job: KubeJobSeen | None, pod: PodSeen | None
    ) -> None:
        """One look at a run in hand of a queue that is served."""
        queue = self._work_queue(entry.name)
        if queue is None:
            return
        if kube_job is None:
            if run.runner == 0:
                await self._vanished(dispatcher, queue, run, pod)
            return  # contract Sdk: the pod's own runner holds the lease
        await self._take_over(queue, kube_job)
        kube_job, pod = self.sightings.of(kube_job, of_owner(pod, kube_job.uid))
        ours = queue.spec.is_exit and (run.state == "launching" or run.runner == 0)
        if run.cancel is not None and run.runner == 0:
            await self._clearing.delete(kube_job)
            await finish(dispatcher, run.run_id, run.attempt, token=run.token or "", canceled=run.cancel)
            return
        outcome = decide_outcome(queue.spec, kube_job=kube_job, pod=pod, now=self._now())
        if ours:
            await self._hold_fences(dispatcher, entry, run, kube_job, outcome)
        elif run.state == "launching" and isinstance(outcome, Failed | Succeeded):
            await self._never_came(dispatcher, run, kube_job, outcome)

    async def _take_over(self, queue: WorkQueue, kube_job: KubeJobSeen) -> None:
        """Left behind by an earlier WorkQueue of this name: it goes with the present one."""
        meta, labelled = queue.metadata, kube_job.work_queue
        found = whose(work_queue=meta.name, uid=meta.uid, labelled=labelled, controller=kube_job.controller)
        if found is not Whose.LEFT_BEHIND or kube_job.deleting or kube_job.ended:
            return
        try:
            await adopt(self._kube, KUBE_JOBS, kube_job.name, meta)
        except RowlockError as error:  # its outcome is recorded all the same
            log.warning("kube_job_not_taken_over", extra={"kube_job": kube_job.name, "why": str(error)})

    async def leave(
        self, dispatcher: DatabaseDispatcher, run: KubeRun, kube_job: KubeJobSeen | None, pod: PodSeen | None, *, other_mode: bool
    ) -> None:
        """The WorkQueue is gone, or one of mode Workers by now. The kube job goes first (with a WorkQueue that is gone Kubernetes
        collects it), and its pod ends; then what was in hand waits for a worker, for the return of its WorkQueue, or for a cancel."""
        if run.state == "running" and run.runner != 0:
            return  # contract Sdk: the pod's own runner holds the lease
        if kube_job is not None:
            if other_mode and not kube_job.deleting:
                await self._clearing.delete(kube_job)
            return
        if pod is not None and not pod.ended:
            return  # it may run still
        if run.state == "launching":
            await dispatcher.aside.run(dispatcher.ledger.unqueue, [(run.run_id, run.attempt)])
        elif run.runner == 0:
            failed = {"class": "infra", "reason": "WorkQueueDeleted", "message": "the WorkQueue was deleted while the run was running"}
            await finish(dispatcher, run.run_id, run.attempt, token=run.token or "", failed=failed, canceled=run.cancel)

    async def _hold_fences(
        self, dispatcher: DatabaseDispatcher, entry: QueueEntry, run: KubeRun, kube_job: KubeJobSeen, outcome: Outcome | None
    ) -> None:
        if outcome is None:
            return
        if isinstance(outcome, Started):
            if run.state == "launching" and await start(dispatcher, run.run_id, run.attempt, token=kube_job.uid):
                seconds = max(0.0, (outcome.at - kube_job.created_at).total_seconds())
                self._metrics.kube_job_to_running_seconds.labels(entry.name).observe(seconds)
            return
        failed = outcome.as_failure() if isinstance(outcome, Failed) else None
        result = outcome.result if isinstance(outcome, Succeeded) else None
        first = run.state == "launching"
        await finish(dispatcher, run.run_id, run.attempt, token=kube_job.uid, failed=failed, result=result, start_first=first)
        await self._clearing.clear(kube_job)

    async def _never_came(self, dispatcher: DatabaseDispatcher, run: KubeRun, kube_job: KubeJobSeen, outcome: Failed | Succeeded) -> None:
        """Contract Sdk: the pod ended without having passed the start fence."""
        failed = (
            outcome.as_failure()
            if isinstance(outcome, Failed)
            else {"class": "infra", "reason": "NotStarted", "message": "the pod ended without starting its run: look at its log"}
        )
        if failed["class"] == "app":
            failed = {**failed, "class": "infra", "reason": "RunnerFailed"}
        await finish(dispatcher, run.run_id, run.attempt, token=kube_job.uid, failed=failed, start_first=True)
        await self._clearing.clear(kube_job)

    async def _vanished(self, dispatcher: DatabaseDispatcher, queue: WorkQueue, run: KubeRun, pod: PodSeen | None) -> None:
        """Running under contract Exit, but the informer has no kube job: asked for by name, for a cache may be late."""
        name = kube_job_name(queue.metadata.name, run.run_id, run.attempt)
        if await self._kube.find(KUBE_JOBS, queue.metadata.namespace, name) is not None:
            return
        if run.cancel is not None:
            await finish(dispatcher, run.run_id, run.attempt, token=run.token or "", canceled=run.cancel)
            return
        outcome = decide_orphan(pod, kube_job_uid=run.token or "")
        failed: dict[str, Any] | None = {
            "class": "infra", "reason": "KubeJobGone", "message": f"kube job {name} was deleted while its run was running"
        }  # fmt: skip
        if outcome is not None:
            failed = outcome.as_failure() if isinstance(outcome, Failed) else None
        result = outcome.result if isinstance(outcome, Succeeded) else None
        await finish(dispatcher, run.run_id, run.attempt, token=run.token or "", failed=failed, result=result)
