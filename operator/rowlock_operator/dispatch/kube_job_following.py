"""Follows an attempt from its kube job and pod into the ledger: its start under contract Exit, and its end.

An attempt that did not start goes back to the line, and no try is used; its pod must not start afterwards.
Contract Sdk: the ledger decides which of the two comes first, since the pod asks the start fence; then the
kube job goes. Contract Exit knows no fence, so the kube job goes first, and what its pod last said decides:
one that began in that very moment has started, and ends as such. A crash in between leaves a claim without a
kube job, which gets one again, as the same attempt, once its pods are gone.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rowlock_operator.api.labels import kube_job_name
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.adoption import adopt
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import KUBE_JOBS
from rowlock_operator.decide.outcome import (
    Failed,
    NotStarted,
    Outcome,
    Started,
    Succeeded,
    decide_orphan,
    decide_outcome,
)
from rowlock_operator.decide.ownership import Whose, whose
from rowlock_operator.dispatch.attempts import Attempt
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.kube_job_clearing import KubeJobClearing
from rowlock_operator.dispatch.kube_job_fences import finish, start
from rowlock_operator.dispatch.sightings import Sightings
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.dispatch.unseen_ends import interrupted
from rowlock_operator.errors import RowlockError
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen, of_owner
from rowlock_operator.rows.ledger import KubeRun
from rowlock_operator.telemetry.metrics import Metrics

log = logging.getLogger("rowlock.dispatch")


# the job controller may have made a pod of which the informer had not heard when the kube job went
LATE_POD = timedelta(seconds=3)


@dataclass
class _Withdrawn:
    """A kube job that was deleted because it did not start."""

    kube_job: KubeJobSeen
    cause: NotStarted
    gone_at: datetime | None = None


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
        last_pod: Callable[[Attempt], PodSeen | None],
    ) -> None:
        """`last_pod(attempt)` is the last that was seen of a pod that is gone."""
        self._kube, self._clearing, self._work_queue, self._metrics, self._now = (
            kube,
            clearing,
            work_queue,
            metrics,
            now,
        )
        self.sightings = Sightings(now)
        self._last_pod = last_pod
        # by dispatcher: what goes, to be given back
        self._withdrawn: dict[tuple[int, Attempt], _Withdrawn] = {}

    def withdrawn(self, dispatcher: DatabaseDispatcher, attempt: Attempt) -> bool:
        """Whether its kube job was deleted because it did not start."""
        return (id(dispatcher), attempt) in self._withdrawn

    def forget(self, dispatcher: DatabaseDispatcher, in_hand: set[Attempt]) -> None:
        """Whatever is not in hand any more."""
        for key in [key for key in self._withdrawn if key[0] == id(dispatcher) and key[1] not in in_hand]:
            del self._withdrawn[key]

    async def follow(
        self,
        dispatcher: DatabaseDispatcher,
        entry: QueueEntry,
        run: KubeRun,
        kube_job: KubeJobSeen | None,
        pod: PodSeen | None,
    ) -> None:
        """One look at a run in hand of a queue that is served."""
        queue = self._work_queue(entry.name)
        if queue is None:
            return
        if self.withdrawn(dispatcher, (run.run_id, run.attempt)) and run.state == "launching":
            await self._follow_withdrawn(dispatcher, entry, queue, run, kube_job, pod)
            return
        if kube_job is None:
            if run.runner == 0:
                await self._vanished(dispatcher, queue, run, pod or self._ended_pod(run))
            return  # contract Sdk: the pod's own runner holds the lease
        await self._take_over(queue, kube_job)
        pod = of_owner(pod, kube_job.uid) or of_owner(self._ended_pod(run), kube_job.uid)
        kube_job, pod = self.sightings.of(kube_job, pod)
        ours = queue.spec.is_exit and (run.state == "launching" or run.runner == 0)
        if run.cancel is not None and run.runner == 0:
            await self._clearing.delete(kube_job)
            await finish(dispatcher, run.run_id, run.attempt, token=run.token or "", canceled=run.cancel)
            return
        outcome = decide_outcome(queue.spec, kube_job=kube_job, pod=pod, now=self._now())
        if (
            ours
            and pod is None
            and outcome is not None
            and _is_its_own(outcome)
            and kube_job.failed_reason != "DeadlineExceeded"
        ):
            outcome = await interrupted(self._kube, kube_job) or outcome
        if ours:
            await self._hold_fences(dispatcher, entry, run, kube_job, pod, outcome)
        elif run.state == "launching" and isinstance(outcome, Failed | Succeeded):
            over = await self._give_back(dispatcher, entry, run, kube_job, _never_came(outcome))
            if over:
                await self._clearing.clear(kube_job)

    def _ended_pod(self, run: KubeRun) -> PodSeen | None:
        """A pod that is gone, where it had ended: the job controller lets go of it as soon as it is counted,
        which says nothing of who had asked for the end, nor of its result.
        """
        pod = self._last_pod((run.run_id, run.attempt))
        return pod if pod is not None and pod.ended else None

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
        self,
        dispatcher: DatabaseDispatcher,
        run: KubeRun,
        kube_job: KubeJobSeen | None,
        pod: PodSeen | None,
        *,
        other_mode: bool,
    ) -> None:
        """The WorkQueue is gone, or one of mode Workers by now. The kube job goes first (with a WorkQueue
        that is gone Kubernetes collects it), and its pod ends; then what was in hand waits for a worker, for
        the return of its WorkQueue, or for a cancel.
        """
        if run.state == "running" and run.runner != 0:
            return  # contract Sdk: the pod's own runner holds the lease
        if kube_job is not None:
            if other_mode and not kube_job.deleting:
                await self._clearing.delete(kube_job)
            return
        if pod is not None and not pod.ended:
            return  # it may run still
        if run.state == "launching":
            await dispatcher.threads.run(dispatcher.ledger.unqueue, [(run.run_id, run.attempt)])
        elif run.runner == 0:
            failed = {
                "class": "infra",
                "reason": "WorkQueueDeleted",
                "message": "the WorkQueue was deleted while the run was running",
            }
            await finish(
                dispatcher, run.run_id, run.attempt, token=run.token or "", failed=failed, canceled=run.cancel
            )

    async def _hold_fences(
        self,
        dispatcher: DatabaseDispatcher,
        entry: QueueEntry,
        run: KubeRun,
        kube_job: KubeJobSeen,
        pod: PodSeen | None,
        outcome: Outcome | None,
    ) -> None:
        if outcome is None:
            return
        if isinstance(outcome, Started):
            if run.state == "launching" and await start(
                dispatcher, run.run_id, run.attempt, token=kube_job.uid
            ):
                dispatcher.state.starts.started(entry.queue_id, repeat=run.repeat)
                began = pod.counted_from if pod is not None else None
                seconds = max(
                    0.0,
                    ((began or outcome.at) - (kube_job.counted_from or kube_job.created_at)).total_seconds(),
                )
                self._metrics.kube_job_to_running_seconds.labels(entry.name).observe(seconds)
            return
        if isinstance(outcome, NotStarted):
            if run.state != "launching":  # it began before: in a pod that was taken away from it
                outcome = replace(outcome, reason="Disrupted")
            elif outcome.running or (pod is not None and not pod.ended):
                self._withdrawn[id(dispatcher), (run.run_id, run.attempt)] = _Withdrawn(kube_job, outcome)
                await self._clearing.delete(kube_job)
                return
            else:
                if await self._give_back(dispatcher, entry, run, kube_job, outcome):
                    await self._clearing.clear(kube_job)
                return
        await self._end(dispatcher, entry, run, kube_job, outcome)
        await self._clearing.clear(kube_job)

    async def _end(
        self,
        dispatcher: DatabaseDispatcher,
        entry: QueueEntry,
        run: KubeRun,
        kube_job: KubeJobSeen,
        outcome: Failed | Succeeded,
    ) -> None:
        """Of an attempt that started, whether it was seen running or not."""
        failed = outcome.as_failure() if isinstance(outcome, Failed) else None
        result = outcome.result if isinstance(outcome, Succeeded) else None
        first = run.state == "launching"
        await finish(
            dispatcher,
            run.run_id,
            run.attempt,
            token=kube_job.uid,
            failed=failed,
            result=result,
            start_first=first,
        )
        if first:
            dispatcher.state.starts.started(entry.queue_id, repeat=run.repeat)

    async def _follow_withdrawn(
        self,
        dispatcher: DatabaseDispatcher,
        entry: QueueEntry,
        queue: WorkQueue,
        run: KubeRun,
        kube_job: KubeJobSeen | None,
        pod: PodSeen | None,
    ) -> None:
        """Its kube job is being deleted, for it did not start; the run is given back once no pod of it can
        start any more.
        """
        key = id(dispatcher), (run.run_id, run.attempt)
        found = self._withdrawn[key]
        withdrawn = found.kube_job
        if kube_job is not None and kube_job.uid != withdrawn.uid:
            del self._withdrawn[key]  # somebody made it anew
            return
        pod = of_owner(pod, withdrawn.uid)
        if kube_job is not None:
            if pod is not None and pod.began and not kube_job.deleting:
                del self._withdrawn[key]  # it could not be deleted, and has started after all
            elif not kube_job.deleting:
                await self._clearing.delete(kube_job)
            return
        if pod is not None and not all(one.ended for one in (pod, *pod.others)):
            return  # nobody confirms yet that it will not start
        found.gone_at = found.gone_at or self._now()
        if self._now() < found.gone_at + LATE_POD:
            return
        pod = pod or self._last_pod((run.run_id, run.attempt))
        if pod is None or not pod.began or pod.owner_uid not in ("", withdrawn.uid):
            await self._give_back(dispatcher, entry, run, withdrawn, found.cause)
        else:
            outcome = decide_outcome(queue.spec, kube_job=withdrawn, pod=pod, now=self._now())
            if not isinstance(outcome, Failed | Succeeded):
                message = (
                    "its kube job was deleted, for it had not started in time, and it started in that very"
                    " moment"
                )
                outcome = Failed(failure_class="infra", reason="PodDeleted", message=message)
            await self._end(dispatcher, entry, run, withdrawn, outcome)
        self._withdrawn.pop(key, None)

    async def _give_back(
        self,
        dispatcher: DatabaseDispatcher,
        entry: QueueEntry,
        run: KubeRun,
        kube_job: KubeJobSeen,
        cause: NotStarted,
    ) -> bool:
        """Waits again, without a try; false = it has started meanwhile, or is no longer this attempt's."""
        # While others start, what keeps this one is its own: it stays away for longer than it held its place.
        # That was moments where its container ended before the start fence: a killed one is no reason to stay
        # away for the whole deadline.
        starts, deadline = dispatcher.state.starts, entry.starting_deadline_seconds
        held = (self._now() - (kube_job.counted_from or kube_job.created_at)).total_seconds()
        first = max(0.0, held) if starts.others_start(entry.queue_id, deadline / 2) else None
        state = await dispatcher.threads.run(
            dispatcher.ledger.postpone,
            run_id=run.run_id,
            attempt=run.attempt,
            failure=cause.as_failure(),
            first_seconds=first,
            longest_seconds=max(900, 2 * deadline),
        )
        log.info(
            "kube_run_not_started",
            extra={
                "run": run.run_id,
                "attempt": run.attempt,
                "state": state or "stale",
                "reason": cause.reason,
            },
        )
        if state == "pending":
            starts.given_back(entry.queue_id, run.run_id, cause, repeat=run.repeat)
        return state is not None

    async def _vanished(
        self, dispatcher: DatabaseDispatcher, queue: WorkQueue, run: KubeRun, pod: PodSeen | None
    ) -> None:
        """Running under contract Exit, but the informer has no kube job: asked for by name, for a cache may
        be late.
        """
        name = kube_job_name(queue.metadata.name, run.run_id, run.attempt)
        if await self._kube.find(KUBE_JOBS, queue.metadata.namespace, name) is not None:
            return
        if run.cancel is not None:
            await finish(dispatcher, run.run_id, run.attempt, token=run.token or "", canceled=run.cancel)
            return
        outcome = decide_orphan(pod, kube_job_uid=run.token or "")
        failed: dict[str, Any] | None = {
            "class": "infra",
            "reason": "KubeJobGone",
            "message": f"kube job {name} was deleted while its run was running",
        }
        if outcome is not None:
            failed = outcome.as_failure() if isinstance(outcome, Failed) else None
        result = outcome.result if isinstance(outcome, Succeeded) else None
        await finish(dispatcher, run.run_id, run.attempt, token=run.token or "", failed=failed, result=result)


def _never_came(outcome: Failed | Succeeded) -> NotStarted:
    """Contract Sdk: the pod ended, or is to end, without having passed the start fence, so the run has not
    started.
    """
    if isinstance(outcome, NotStarted):
        return outcome
    message = "the pod ended without starting its run: look at its log"
    if isinstance(outcome, Succeeded):
        return NotStarted(failure_class="infra", reason="NotStarted", message=message)
    reason = outcome.reason if outcome.failure_class == "infra" else "RunnerFailed"
    return NotStarted(failure_class="infra", reason=reason, message=outcome.message, running=outcome.running)


def _is_its_own(outcome: Outcome) -> bool:
    """The program's own word: its success, or its failure."""
    return isinstance(outcome, Succeeded) or (
        isinstance(outcome, Failed) and outcome.failure_class != "infra"
    )
