"""Kube jobs: creates one for each claim of a Jobs queue, follows it, holds the fences of contract Exit, and cleans up.

Who is authoritative: the ledger says which attempt should have a kube job, Kubernetes says what became of it. The kube job's name is derived from run and
attempt, so a creation repeated after a crash finds the first one (409). Under contract Exit the kube job's uid is the attempt's token and the kube job is
its lease: it may outlive this process, and the next leader goes on from what both sides say.
On each failure:
  crash before the creation     -> the claim is `launching` without a kube job: created after `missing_seconds`
  crash after the creation      -> the same, answered by 409
  crash before the outcome      -> the kube job is still there: its outcome is read again, the finish fence accepts it once
  crash after the outcome       -> a kube job whose run is not in hand any more: deleted
  kube job deleted by somebody  -> class infra, next attempt
  outcome refused by the ledger -> recorded with a note in its place: a result that cannot be stored is no reason to run again
A kube job goes only after its outcome was recorded. A run under contract Exit, which knows no fence, gets another one only once the pods it had
before have ended: a node that does not answer may run them still.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from rowlock_operator.api import reasons
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import KUBE_JOBS, SECRETS
from rowlock_operator.decide.outcome import Failed, Outcome, Started, Succeeded, decide_outcome
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.kube_jobs import build_kube_job, build_row_secret
from rowlock_operator.desired.names import kube_job_name
from rowlock_operator.desired.runs import RunToLaunch
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.failing import LAUNCHER, ONE_KUBE_JOB
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.errors import GiveUp, InvalidSpec, RowlockError
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen
from rowlock_operator.observed.queues import Trouble, trouble
from rowlock_operator.rows.ledger import Claimed, KubeRun, Launchable
from rowlock_operator.telemetry.metrics import Metrics

log = logging.getLogger("rowlock.dispatch")
Attempt = tuple[str, int]


class KubeRunView(Protocol):
    """What the informers know, by attempt."""

    def synced(self) -> bool: ...
    def kube_jobs(self) -> dict[Attempt, KubeJobSeen]: ...
    def pods(self) -> dict[Attempt, PodSeen]: ...


@dataclass(frozen=True)
class LauncherSettings:
    parallel: int = 16  # creations under way: 10 connections reach 343 jobs/s, one 143
    every_seconds: float = 2.0  # between two looks when nothing happens
    least_seconds: float = 0.03  # and when something does
    missing_seconds: float = 3.0  # a claim this old without a kube job is launched (again)
    refused_pause_seconds: float = 10.0  # after the API refused a kube job (quota, admission)
    orphan_seconds: float = 30.0  # a kube job whose run ended may take this long to end by itself


class Launcher:
    """`launch` may be called from any thread; everything else runs on the event loop."""

    def __init__(
        self,
        kube: KubeClient,
        view: KubeRunView,
        *,
        installation: Installation,
        work_queue: Callable[[str], WorkQueue | None],
        dispatchers: Callable[[], Iterable[DatabaseDispatcher]],
        metrics: Metrics,
        settings: LauncherSettings | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube, self._view, self._installation = kube, view, installation
        self._work_queue, self._dispatchers, self._metrics = work_queue, dispatchers, metrics
        self._settings, self._now = settings or LauncherSettings(), now
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(self._settings.parallel)
        self._poked = asyncio.Event()
        self._busy: set[Attempt] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refused_until: dict[str, float] = {}
        self._tended: dict[int, bool] = {}  # dispatchers that are looked at now, and whether something changed meanwhile
        self._orphan_since: dict[str, float] = {}
        # Dispatchers whose last look found nothing in hand, and nothing was claimed since: looked at only while they have Jobs queues.
        self._empty: set[int] = set()
        self.troubles: dict[str, Trouble] = {}  # work queue -> why its kube jobs are refused

    def launch(self, dispatcher: DatabaseDispatcher, queue: QueueEntry, claims: list[Claimed]) -> None:
        """Takes note of claims; from the claimer's thread, so it returns at once."""
        attempts = [(c.run_id, c.attempt) for c in claims]
        self._loop.call_soon_threadsafe(self._claimed, dispatcher, self._launch_all(dispatcher, queue, attempts))

    def _claimed(self, dispatcher: DatabaseDispatcher, launching: Awaitable[None]) -> None:
        self._empty.discard(id(dispatcher))
        self._spawn(dispatcher, launching)

    def poke(self) -> None:
        """Something changed: look soon."""
        self._poked.set()

    async def run(self) -> None:
        """Looks again and again until cancelled."""
        try:
            while True:
                await self.tend()
                try:
                    await asyncio.wait_for(self._poked.wait(), self._settings.every_seconds)
                    await asyncio.sleep(self._settings.least_seconds)
                except TimeoutError:
                    pass
                self._poked.clear()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def tend(self) -> None:
        """One look at every attempt that has, or should have, a kube job; a database that does not answer holds up no other."""
        if not self._view.synced():
            return
        for dispatcher in list(self._dispatchers()):
            if id(dispatcher) in self._tended:
                self._tended[id(dispatcher)] = True
            else:
                self._tended[id(dispatcher)] = False
                look = self._loop.create_task(self._tend_alone(dispatcher))
                self._tasks.add(look)
                look.add_done_callback(self._tasks.discard)

    async def _tend_alone(self, dispatcher: DatabaseDispatcher) -> None:
        try:
            await self._tend_database(dispatcher)
        except Exception as error:  # noqa: BLE001 - the loop's edge: told in conditions, tried again; other databases go on
            expected = isinstance(error, RowlockError)
            log.warning(
                "tending_failed",
                extra={"database": dispatcher.pool.name, "why": str(error)},
                exc_info=None if expected else error,
            )
            dispatcher.state.failing.met(LAUNCHER, error)
            self._empty.discard(id(dispatcher))
        else:
            dispatcher.state.failing.worked(LAUNCHER)
        finally:
            if self._tended.pop(id(dispatcher)):
                self.poke()  # something changed during the look

    async def _tend_database(self, dispatcher: DatabaseDispatcher) -> None:
        entries = {q.queue_id: q for q in dispatcher.state.queue_entries() if q.jobs_mode}
        if not entries and id(dispatcher) in self._empty:
            return
        self._empty.add(id(dispatcher))  # before the look: a claim that comes during it takes this back
        kube_jobs = self._view.kube_jobs()  # before the ledger: a kube job newer than this look is nobody's orphan
        in_hand = await asyncio.to_thread(dispatcher.ledger.jobs_in_hand)
        pods = self._view.pods()
        missing: dict[int, list[Attempt]] = {}
        if in_hand:
            self._empty.discard(id(dispatcher))
        for run in in_hand:
            attempt = (run.run_id, run.attempt)
            entry = entries.get(run.queue_id)
            if entry is None or attempt in self._busy:
                if run.queue_gone and attempt not in self._busy:
                    served = run.queue_id in dispatcher.state.queues
                    left = self._leave(dispatcher, run, kube_jobs.get(attempt), pods.get(attempt), other_mode=served)
                    self._spawn(dispatcher, self._guarded(attempt, left))
                continue
            kube_job = kube_jobs.get(attempt)
            if kube_job is None and run.state == "launching":
                if run.claimed_seconds > self._settings.missing_seconds:
                    missing.setdefault(run.queue_id, []).append(attempt)
            else:
                self._spawn(dispatcher, self._guarded(attempt, self._follow(dispatcher, entry, run, kube_job, pods.get(attempt))))
        for queue_id, attempts in missing.items():
            await self._missing(dispatcher, entries[queue_id], attempts)
        await self._clear_orphans({q.name for q in entries.values()}, kube_jobs, {(r.run_id, r.attempt) for r in in_hand})

    async def _missing(self, dispatcher: DatabaseDispatcher, entry: QueueEntry, attempts: list[Attempt]) -> None:
        """Claims without a kube job: launched, or given back while the queue is suspended or gone."""
        if entry.suspended or self._work_queue(entry.name) is None:
            await asyncio.to_thread(dispatcher.ledger.unqueue, attempts)
        elif self._refused_until.get(entry.name, 0.0) < time.monotonic():
            self._spawn(dispatcher, self._launch_all(dispatcher, entry, attempts, missing=True))

    async def _leave(
        self, dispatcher: DatabaseDispatcher, run: KubeRun, kube_job: KubeJobSeen | None, pod: PodSeen | None, *, other_mode: bool
    ) -> None:
        """The WorkQueue is gone, or one of mode Workers by now. The kube job goes first (with a WorkQueue that is gone Kubernetes collects it),
        and its pod ends; then what was in hand waits for a worker, for the return of its WorkQueue, or for a cancel."""
        if run.state == "running" and run.runner != 0:
            return  # contract Sdk: the pod's own runner holds the lease
        if kube_job is not None:
            if other_mode and not kube_job.deleting:
                await self._kube.delete(KUBE_JOBS, kube_job.namespace, kube_job.name, uid=kube_job.uid)
            return
        if pod is not None and not pod.ended:
            return  # it may run still
        if run.state == "launching":
            await asyncio.to_thread(dispatcher.ledger.unqueue, [(run.run_id, run.attempt)])
        elif run.runner == 0:
            failed = {"class": "infra", "reason": "WorkQueueDeleted", "message": "the WorkQueue was deleted while the run was running"}
            await self._end(dispatcher, run.run_id, run.attempt, token=run.token or "", failed=failed, canceled=run.cancel)

    # -- creating ---------------------------------------------------------------------------------------------------

    async def _launch_all(
        self, dispatcher: DatabaseDispatcher, entry: QueueEntry, attempts: list[Attempt], *, missing: bool = False
    ) -> None:
        queue = self._work_queue(entry.name)
        if queue is None:
            return
        held = self._held(queue, attempts, missing=missing)
        wanted = {run_id: attempt for run_id, attempt in attempts if (run_id, attempt) not in self._busy and run_id not in held}
        if not wanted:
            return
        for run in await asyncio.to_thread(dispatcher.ledger.launchable, list(wanted)):
            attempt = (run.run_id, run.attempt)
            if wanted.get(run.run_id) == run.attempt and attempt not in self._busy:
                self._spawn(dispatcher, self._guarded(attempt, self._create(dispatcher, entry, queue, run)))

    def _held(self, queue: WorkQueue, attempts: list[Attempt], *, missing: bool) -> set[str]:
        """Runs that may have a process still: of an earlier attempt, or (`missing`) of a kube job of this one that somebody deleted.

        The WorkQueue tells of pods that stay (status/pod_problems.py); the next look comes back to them.
        """
        again = {run_id for run_id, attempt in attempts if attempt > 1 or missing}
        if not queue.spec.is_exit or not again:
            return set()
        if not self._view.synced():
            return again
        return {run_id for (run_id, _), pod in self._view.pods().items() if run_id in again and not pod.ended}

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
                    await self._kube.create_once(
                        SECRETS, build_row_secret(queue=queue, run=to_launch, kube_job_uid=kube_job["metadata"]["uid"])
                    )
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

    async def _refuse(self, dispatcher: DatabaseDispatcher, run: Launchable, error: GiveUp) -> None:
        """A row that no pod can be built for is bad input; its reason goes into the ledger, not into a loop."""
        reason = error.reason if not isinstance(error, InvalidSpec) else "InvalidSpec"
        await self._end(
            dispatcher,
            run.run_id,
            run.attempt,
            token=run.run_id,
            failed={"class": "input", "reason": reason, "message": str(error)},
            start_first=True,
        )

    # -- following --------------------------------------------------------------------------------------------------

    async def _follow(
        self, dispatcher: DatabaseDispatcher, entry: QueueEntry, run: KubeRun, kube_job: KubeJobSeen | None, pod: PodSeen | None
    ) -> None:
        queue = self._work_queue(entry.name)
        if queue is None:
            return
        if kube_job is None:
            if run.runner == 0:
                await self._vanished(dispatcher, queue, run)
            return  # contract Sdk: the pod's own runner holds the lease
        if pod is not None and pod.owner_uid not in ("", kube_job.uid):
            pod = None  # of a kube job of this attempt that somebody deleted: its end is not this one's
        ours = queue.spec.is_exit and (run.state == "launching" or run.runner == 0)
        if run.cancel is not None and run.runner == 0:
            await self._kube.delete(KUBE_JOBS, kube_job.namespace, kube_job.name, uid=kube_job.uid)
            await self._end(dispatcher, run.run_id, run.attempt, token=run.token or "", canceled=run.cancel)
            return
        outcome = decide_outcome(queue.spec, kube_job=kube_job, pod=pod, now=self._now())
        if ours:
            await self._hold_fences(dispatcher, entry, run, kube_job, outcome)
        elif run.state == "launching" and isinstance(outcome, Failed | Succeeded):
            await self._never_came(dispatcher, run, kube_job, outcome)

    async def _hold_fences(
        self, dispatcher: DatabaseDispatcher, entry: QueueEntry, run: KubeRun, kube_job: KubeJobSeen, outcome: Outcome | None
    ) -> None:
        if outcome is None:
            return
        if isinstance(outcome, Started):
            if run.state == "launching":
                started = await asyncio.to_thread(
                    dispatcher.ledger.start_for_kubernetes, run_id=run.run_id, attempt=run.attempt, token=kube_job.uid
                )
                if started:
                    seconds = max(0.0, (outcome.at - kube_job.created_at).total_seconds())
                    self._metrics.kube_job_to_running_seconds.labels(entry.name).observe(seconds)
            return
        failed = outcome.as_failure() if isinstance(outcome, Failed) else None
        result = outcome.result if isinstance(outcome, Succeeded) else None
        await self._end(
            dispatcher, run.run_id, run.attempt, token=kube_job.uid, failed=failed, result=result, start_first=run.state == "launching"
        )
        await self._clear(kube_job)

    async def _never_came(self, dispatcher: DatabaseDispatcher, run: KubeRun, kube_job: KubeJobSeen, outcome: Failed | Succeeded) -> None:
        """Contract Sdk: the pod ended without having passed the start fence."""
        failed = (
            outcome.as_failure()
            if isinstance(outcome, Failed)
            else {"class": "infra", "reason": "NotStarted", "message": "the pod ended without starting its run: look at its log"}
        )
        if failed["class"] == "app":
            failed = {**failed, "class": "infra", "reason": "RunnerFailed"}
        await self._end(dispatcher, run.run_id, run.attempt, token=kube_job.uid, failed=failed, start_first=True)
        await self._clear(kube_job)

    async def _vanished(self, dispatcher: DatabaseDispatcher, queue: WorkQueue, run: KubeRun) -> None:
        """Running under contract Exit, but the informer has no kube job: asked for by name, for a cache may be late."""
        name = kube_job_name(queue.metadata.name, run.run_id, run.attempt)
        if await self._kube.find(KUBE_JOBS, queue.metadata.namespace, name) is not None:
            return
        if run.cancel is not None:
            await self._end(dispatcher, run.run_id, run.attempt, token=run.token or "", canceled=run.cancel)
            return
        failed = {"class": "infra", "reason": "KubeJobGone", "message": f"kube job {name} was deleted while its run was running"}
        await self._end(dispatcher, run.run_id, run.attempt, token=run.token or "", failed=failed)

    async def _end(
        self,
        dispatcher: DatabaseDispatcher,
        run_id: str,
        attempt: int,
        *,
        token: str,
        failed: dict[str, Any] | None = None,
        result: Any = None,
        canceled: str | None = None,
        start_first: bool = False,
    ) -> None:
        """The finish fence (behind the start fence, where the run was never seen running)."""
        if start_first:
            await asyncio.to_thread(dispatcher.ledger.start_for_kubernetes, run_id=run_id, attempt=attempt, token=token)
        outcome = "canceled" if canceled else "failed" if failed else "succeeded"
        failure = {"class": "app", "reason": canceled} if canceled else failed
        finish = partial(dispatcher.ledger.finish, run_id=run_id, attempt=attempt, token=token, outcome=outcome)
        try:
            state = await asyncio.to_thread(finish, result=result, failure=failure)
        except GiveUp as error:
            if error.reason != reasons.ROW_REFUSED.name:
                raise  # a lock, a right: the next look repeats it
            # What it refuses is what somebody's program or Kubernetes said. That the attempt ended, and how, is ours to record.
            log.warning("outcome_replaced", extra={"run": run_id, "attempt": attempt, "why": str(error)})
            note = "what it said cannot be stored in the ledger"
            failure = None if failure is None else {"class": failure["class"], "reason": failure["reason"], "message": note}
            state = await asyncio.to_thread(finish, result=None if result is None else {"message": note}, failure=failure)
        log.info(
            "kube_run_finished",
            extra={"run": run_id, "attempt": attempt, "state": state or "stale", "reason": (failure or {}).get("reason")},
        )

    # -- cleaning up ------------------------------------------------------------------------------------------------

    async def _clear_orphans(self, queues: set[str], kube_jobs: dict[Attempt, KubeJobSeen], in_hand: set[Attempt]) -> None:
        """Kube jobs whose attempt is over: ended ones go at once, running ones may end by themselves for a while."""
        now, refused = time.monotonic(), None
        orphans = {
            kube_job.uid: kube_job
            for attempt, kube_job in kube_jobs.items()
            if attempt not in in_hand
            and attempt not in self._busy
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
                    await self._clear(kube_job)
                except RowlockError as error:
                    refused = error  # the others go all the same
        if refused is not None:
            raise refused

    async def _clear(self, kube_job: KubeJobSeen) -> None:
        """Its outcome is recorded: it may go. Where we may not delete it, Kubernetes does so `ttlSeconds` after its end."""
        if kube_job.ended and kube_job.has_ttl:
            return
        try:
            await self._kube.delete(KUBE_JOBS, kube_job.namespace, kube_job.name, uid=kube_job.uid)
        except GiveUp:
            queue = self._work_queue(f"{kube_job.namespace}/{kube_job.work_queue}")
            if queue is None:
                raise
            patch = {"metadata": {"uid": kube_job.uid}, "spec": {"ttlSecondsAfterFinished": queue.spec.ttl_seconds}}
            await self._kube.merge_patch(KUBE_JOBS, kube_job.namespace, kube_job.name, patch)

    # -- tasks ------------------------------------------------------------------------------------------------------

    async def _guarded(self, attempt: Attempt, work: Awaitable[None]) -> None:
        """One thing at a time for an attempt."""
        if attempt in self._busy:
            if asyncio.iscoroutine(work):
                work.close()
            return
        self._busy.add(attempt)
        try:
            await work
        finally:
            self._busy.discard(attempt)

    def _spawn(self, dispatcher: DatabaseDispatcher, work: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(dispatcher, done))

    def _ended(self, dispatcher: DatabaseDispatcher, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, RowlockError):
            log.warning("kube_run_not_tended", extra={"why": str(error)})  # the next look repeats it
        elif error is not None:
            log.error("kube_run_not_tended", exc_info=error)
        if isinstance(error, Exception):
            dispatcher.state.failing.met(ONE_KUBE_JOB, error)
        elif not task.cancelled():
            dispatcher.state.failing.worked(ONE_KUBE_JOB)
