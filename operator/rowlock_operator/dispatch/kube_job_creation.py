"""Creates the kube job of each claim.

As long as creations of a queue work, all of its claims are created at once, within `parallel`. The first one
of a term, and the first after one was refused, goes alone, and the others wait to see what becomes of it: a
dead webhook, a quota that is used up refuses all of them. What was refused is tried again after a second,
then later and later; each time it is another run's turn, so that one that is refused for its own sake keeps
no other from being made.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable

from rowlock_operator.api import reasons
from rowlock_operator.api.manifest import Manifest
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.in_flight import InFlightLimit
from rowlock_operator.cluster.kinds import KUBE_JOBS, SECRETS
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.kube_jobs import build_kube_job, build_row_secret
from rowlock_operator.desired.runs import RunToLaunch
from rowlock_operator.dispatch import kube_job_fences
from rowlock_operator.dispatch.attempts import Attempt, AttemptTasks, KubeRunView, LauncherSettings
from rowlock_operator.dispatch.backoff import FIRST_SECONDS, Backoffs
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.dispatch.write_budget import WriteBudget, written_bytes
from rowlock_operator.errors import AlreadyExists, GiveUp, InvalidSpec, RowlockError
from rowlock_operator.observed.queues import Trouble, trouble
from rowlock_operator.rows.ledger import KubeRun, Launchable
from rowlock_operator.telemetry.metrics import Metrics

log = logging.getLogger("rowlock.dispatch")
MOST_COMPLETE = 10_000
PASSED_OVER_SECONDS = 30.0


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
        on_trouble: Callable[[str], None],
    ) -> None:
        self._kube, self._view, self._tasks, self._settings = kube, view, tasks, settings
        self._installation, self._work_queue, self._metrics = installation, work_queue, metrics
        self._on_trouble = on_trouble
        self._slots = InFlightLimit(settings.parallel)
        self._taken: set[str] = set()  # work queues whose last creation was not refused
        self._refused = Backoffs[str]()  # by work queue
        self._probes: dict[str, asyncio.Task[None]] = {}  # by work queue: the one that goes alone
        # by work queue: when what was refused was tried last
        self._tried: dict[str, dict[Attempt, float]] = {}
        self._new: dict[str, set[Attempt]] = {}  # by work queue: claims that came after the last refusal
        self._complete: set[Attempt] = set()  # with all that belongs to them, as far as is known
        self.troubles: dict[str, Trouble] = {}  # work queue -> why its kube jobs are refused
        self.writes = WriteBudget(settings.queue_write_bytes, settings.total_write_bytes)

    async def create_all(
        self,
        dispatcher: DatabaseDispatcher,
        entry: QueueEntry,
        attempts: list[Attempt],
        *,
        missing: bool = False,
    ) -> None:
        """Begins to create the kube jobs of these claims; `missing`: they should have one already."""
        queue = self._work_queue(entry.name)
        if queue is None:
            return
        if not missing and entry.name in self.troubles:
            self._new.setdefault(entry.name, set()).update(attempts)
        if not missing and self.writes.holds_back(entry.name):
            # what waits for the bound of writes keeps its place: the next look takes them in their order
            return
        held = self._held(queue, attempts, missing=missing)
        free = [each for each in attempts if each[0] not in held and each not in self._tasks.busy]
        await self._create_all(
            dispatcher, entry, queue, free[: self.writes.fitting(entry.name, len(free))], claimed=not missing
        )

    async def _create_all(
        self,
        dispatcher: DatabaseDispatcher,
        entry: QueueEntry,
        queue: WorkQueue,
        attempts: list[Attempt],
        *,
        claimed: bool = False,
    ) -> None:
        wanted = {
            run_id: attempt for run_id, attempt in attempts if (run_id, attempt) not in self._tasks.busy
        }
        if not wanted:
            return
        found = await dispatcher.threads.run(dispatcher.ledger.launchable, list(wanted))
        runs = {(run.run_id, run.attempt): run for run in found if wanted.get(run.run_id) == run.attempt}
        if claimed:
            runs = await self._without_repeats(dispatcher, entry, runs)
        while runs and entry.name not in self._taken:
            if (probe := self._probes.get(entry.name)) is not None:
                await asyncio.wait([probe])
            elif not self._may_probe(entry.name):
                return
            else:
                tried = self._tried.get(entry.name, {})
                attempt = min(runs, key=lambda each: tried.get(each, -math.inf))
                creating = self._create(dispatcher, entry, queue, runs.pop(attempt))
                probe = self._probes[entry.name] = self._tasks.guarded(dispatcher, attempt, creating)
                probe.add_done_callback(lambda _: self._probes.pop(entry.name, None))
                await asyncio.wait([probe])
        for attempt, run in runs.items():
            self._tasks.guarded(dispatcher, attempt, self._create(dispatcher, entry, queue, run))

    async def _without_repeats(
        self, dispatcher: DatabaseDispatcher, entry: QueueEntry, runs: dict[Attempt, Launchable]
    ) -> dict[Attempt, Launchable]:
        """Runs whose attempt before did not start give way to others where one of them is tried already."""
        starts = dispatcher.state.starts
        passed = [
            attempt for attempt, run in runs.items() if run.repeat and not starts.takes_repeat(entry.queue_id)
        ]
        if passed:
            await dispatcher.threads.run(dispatcher.ledger.pass_over, passed, seconds=PASSED_OVER_SECONDS)
            starts.passed_over(entry.queue_id)
        return {attempt: run for attempt, run in runs.items() if attempt not in passed}

    async def missing(
        self, dispatcher: DatabaseDispatcher, entry: QueueEntry, attempts: list[Attempt]
    ) -> None:
        """Claims without a kube job: launched, or given back while the queue is suspended or gone."""
        if entry.suspended or self._work_queue(entry.name) is None:
            await dispatcher.threads.run(dispatcher.ledger.unqueue, attempts)
        elif entry.name not in self._probes and self._may_probe(entry.name):
            self._tasks.start(dispatcher, self.create_all(dispatcher, entry, attempts, missing=True))

    def forget_gone(self) -> None:
        """What was refused to a WorkQueue that is gone says nothing of the next one of its name."""
        for name in [name for name in self.troubles if self._work_queue(name) is None]:
            self._forget(name)

    def incomplete(self, entry: QueueEntry, run: KubeRun) -> bool:
        """Whether the kube job of a claim is there and its Secret may not be: that failed, or its maker died
        between.
        """
        if (
            run.state != "launching"
            or (run.run_id, run.attempt) in self._complete
            or run.claimed_seconds < self._settings.missing_seconds
        ):
            return False
        queue = self._work_queue(entry.name)
        return queue is not None and _by_secret(queue)

    def complete(self, dispatcher: DatabaseDispatcher, entry: QueueEntry, attempts: list[Attempt]) -> None:
        """Begins to make what is missing of these. What is there stays as it is."""
        queue = self._work_queue(entry.name)
        if queue is not None and entry.name not in self._probes and self._may_probe(entry.name):
            self._tasks.start(dispatcher, self._create_all(dispatcher, entry, queue, attempts))

    def _may_probe(self, name: str) -> bool:
        """Whether one may be tried now; a claim newer than the last refusal does not wait for the whole
        pause.
        """
        left = self._refused.left(name)
        return not left or (bool(self._new.get(name)) and self._refused.since(name) >= FIRST_SECONDS)

    def _held(self, queue: WorkQueue, attempts: list[Attempt], *, missing: bool) -> set[str]:
        """Runs that may have a process still: of an earlier attempt, or (`missing`) of a kube job of this one
        that somebody deleted.

        The WorkQueue tells of pods that stay (status/pod_problems.py); the next look comes back to them.
        """
        again = {run_id for run_id, attempt in attempts if attempt > 1 or missing}
        if not queue.spec.is_exit or not again:
            return set()
        if not self._view.synced():
            return again
        pods = self._view.pods().items()
        return {
            run_id
            for (run_id, _), pod in pods
            if run_id in again and not all(one.ended for one in (pod, *pod.others))
        }

    async def _create(
        self, dispatcher: DatabaseDispatcher, entry: QueueEntry, queue: WorkQueue, run: Launchable
    ) -> None:
        to_launch, attempt = (
            RunToLaunch(run_id=run.run_id, attempt=run.attempt, task=run.task, args=run.args),
            (run.run_id, run.attempt),
        )
        async with self._slots.slot():
            try:
                manifest = build_kube_job(queue=queue, installation=self._installation, run=to_launch)
            except GiveUp as error:
                await self._refuse(dispatcher, run, error)
                return
            secret = (
                build_row_secret(queue=queue, run=to_launch, kube_job_uid="") if _by_secret(queue) else None
            )
            if not self.writes.spend(entry.name, written_bytes(manifest, secret)):
                return  # it waits as a claim without a kube job
            late = asyncio.get_running_loop().call_later(self._settings.slow_seconds, self._late, entry.name)
            try:
                kube_job, created = await self._kube.create_once(KUBE_JOBS, manifest)
                if _by_secret(queue):
                    secret = build_row_secret(
                        queue=queue, run=to_launch, kube_job_uid=kube_job["metadata"]["uid"]
                    )
                    await self._create_row_secret(secret, anew=created)
            except RowlockError as error:
                self._was_refused(entry.name, attempt, error)
                return
            finally:
                late.cancel()
            self._was_taken(entry.name, attempt)
            self._metrics.launches.labels("created" if created else "found").inc()
            if not created:
                self._metrics.duplicate_prevented.labels(entry.name).inc()
            if created and run.attempt == 1:
                self._metrics.row_to_kube_job_seconds.labels(entry.name).observe(run.waited_seconds)

    async def _create_row_secret(self, secret: Manifest, *, anew: bool) -> None:
        """`anew`: its kube job was made by this call, so that a Secret of that name is of an earlier one, and
        goes with that (or, orphaned, never). Deleted, not taken over: that needs no right to read Secrets.
        """
        try:
            await self._kube.create(SECRETS, secret)
        except AlreadyExists:
            if anew:
                await self._kube.delete(SECRETS, secret["metadata"]["namespace"], secret["metadata"]["name"])
                await self._kube.create(SECRETS, secret)

    def _was_taken(self, name: str, attempt: Attempt) -> None:
        self._taken.add(name)
        self._forget(name)
        if len(self._complete) >= MOST_COMPLETE:
            self._complete.clear()  # those that are still needed are made sure of once more
        self._complete.add(attempt)

    def _forget(self, name: str) -> None:
        self._refused.worked(name)
        if self.troubles.pop(name, None) is not None:
            self._on_trouble(name)
        self._tried.pop(name, None)
        self._new.pop(name, None)

    def _was_refused(self, name: str, attempt: Attempt, error: RowlockError) -> None:
        """A policy, a quota, a dead webhook, a namespace that goes: whatever it is, told in the server's
        words.
        """
        self._taken.discard(name)
        self._new.pop(name, None)
        self._tried.setdefault(name, {})[attempt] = time.monotonic()
        self.troubles[name] = self._refused.failed(name, trouble(reasons.KUBE_JOB_REFUSED, why=error))
        self._on_trouble(name)
        self._metrics.launches.labels("refused").inc()
        log.warning("launch_refused", extra={"queue": name, "why": str(error)})

    def _late(self, name: str) -> None:
        why = f"it has not answered for {self._settings.slow_seconds:.0f} s; an admission webhook may hang"
        if name not in self.troubles:
            self.troubles[name] = trouble(reasons.KUBE_JOB_REFUSED, why=why)
            self._on_trouble(name)

    async def _refuse(self, dispatcher: DatabaseDispatcher, run: Launchable, error: GiveUp) -> None:
        """A row that no pod can be built for is bad input; its reason goes into the ledger, not into a
        loop.
        """
        reason = error.reason if not isinstance(error, InvalidSpec) else "InvalidSpec"
        failed = {"class": "input", "reason": reason, "message": str(error)}
        await kube_job_fences.finish(
            dispatcher, run.run_id, run.attempt, token=run.run_id, failed=failed, start_first=True
        )


def _by_secret(queue: WorkQueue) -> bool:
    return queue.spec.is_exit and queue.spec.row_delivery == "Secret"
