"""Kube jobs: creates one for each claim of a Jobs queue, follows it, holds the fences of contract Exit, and
cleans up.

Who is authoritative: the ledger says which attempt should have a kube job, Kubernetes says what became of it.
The kube job's name is derived from run and
attempt, so a creation repeated after a crash finds the first one (409). Under contract Exit the kube job's
uid is the attempt's token and the kube job is
its lease: it may outlive this process, and the next leader goes on from what both sides say.
On each failure:
  crash before the creation     -> the claim is `launching` without a kube job: created after
                                `missing_seconds`
  crash after the creation      -> the same, answered by 409
  crash before the outcome      -> the kube job is still there: its outcome is read again, the finish fence
                                accepts it once
  crash after the outcome       -> a kube job whose run is not in hand any more: deleted
  kube job deleted by somebody  -> class infra, next attempt
  a start that does not come    -> given back without a try (kube_job_following.py); while nothing starts, one
                                kube job a queue probes
  beyond what kube jobs may write -> the claim waits in its place without one; a new leader begins with a
  quarter of the bound
  outcome refused by the ledger -> recorded with a note in its place: a result that cannot be stored is no
  reason to run again
A kube job goes only after its outcome was recorded. A run under contract Exit, which knows no fence, gets
another one only once the pods it had
before have ended: a node that does not answer may run them still.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.desired.installation import Installation
from rowlock_operator.dispatch.attempts import Attempt, AttemptTasks, KubeRunView, LauncherSettings
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.failing import LAUNCHER
from rowlock_operator.dispatch.kube_job_clearing import KubeJobClearing
from rowlock_operator.dispatch.kube_job_creation import KubeJobCreation
from rowlock_operator.dispatch.kube_job_following import KubeJobFollowing
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.dispatch.waiting import set_within
from rowlock_operator.errors import RowlockError
from rowlock_operator.observed.kube_jobs import KubeJobSeen
from rowlock_operator.observed.pods import PodSeen
from rowlock_operator.observed.queues import Trouble
from rowlock_operator.rows.ledger import Claimed, KubeRun
from rowlock_operator.telemetry.metrics import Metrics

log = logging.getLogger("rowlock.dispatch")


class Launcher:
    """`launch` may be called from any thread; everything else runs on the event loop."""

    def __init__(
        self,
        kube: KubeClient,
        view: KubeRunView,
        *,
        installation: Installation,
        work_queue: Callable[[str], WorkQueue | None],
        metrics: Metrics,
        settings: LauncherSettings | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_trouble: Callable[[str], None] = lambda _work_queue: None,
        last_pod: Callable[[Attempt], PodSeen | None] = lambda _attempt: None,
    ) -> None:
        """`on_trouble(work queue)` is told when `troubles` or `advice` of one changed; `last_pod(attempt)` is
        the last that was seen of a pod that is gone.
        """
        self._view, self._settings = view, settings or LauncherSettings()
        self._over = False  # the term is: what a dispatcher goes on to claim waits for the next launcher
        self._loop = asyncio.get_running_loop()
        self._poked = asyncio.Event()
        self.tasks = AttemptTasks()
        self._clearing = KubeJobClearing(
            kube, self.tasks, self._settings, work_queue=work_queue, on_trouble=on_trouble
        )
        self._creation = KubeJobCreation(
            kube,
            view,
            self.tasks,
            self._settings,
            installation=installation,
            work_queue=work_queue,
            metrics=metrics,
            on_trouble=on_trouble,
        )
        self._following = KubeJobFollowing(
            kube, self._clearing, work_queue=work_queue, metrics=metrics, now=now, last_pod=last_pod
        )
        self._work_queue = work_queue
        self._last: dict[int, dict[Attempt, KubeRun]] = {}  # by dispatcher: what was in hand at the last look
        # dispatchers that are looked at now, and whether something changed meanwhile
        self._tended: dict[int, bool] = {}
        # Dispatchers whose last look found nothing in hand, and nothing was claimed since: looked at only
        # while they have Jobs queues.
        self._empty: set[int] = set()

    @property
    def troubles(self) -> dict[str, Trouble]:
        """Work queue -> why its kube jobs are refused."""
        return self._creation.troubles

    def at_write_bound(self, work_queue: str) -> Trouble | None:
        """The bound of what kube jobs may write, where claims of the queue wait for it."""
        return self._creation.writes.told(work_queue)

    @property
    def advice(self) -> dict[str, Trouble]:
        """Work queue -> why kube jobs of it that are over are still there."""
        return self._clearing.troubles

    @property
    def looking(self) -> bool:
        """Whether a look is under way."""
        return bool(self._tended)

    def launch(self, dispatcher: DatabaseDispatcher, queue: QueueEntry, claims: list[Claimed]) -> None:
        """Takes note of claims; from the claimer's thread, so it returns at once. After the end of `run` they
        wait as `launching` for the next launcher.
        """
        if self._over:
            return
        attempts = [(c.run_id, c.attempt) for c in claims]
        self._loop.call_soon_threadsafe(
            self._claimed, dispatcher, self._creation.create_all(dispatcher, queue, attempts)
        )

    def _claimed(self, dispatcher: DatabaseDispatcher, creating: Coroutine[Any, Any, None]) -> None:
        if self._over:
            creating.close()
            return
        self._empty.discard(id(dispatcher))
        self.tasks.start(dispatcher, creating)

    def poke(self) -> None:
        """Something changed: look soon."""
        self._poked.set()

    async def run(self, dispatchers: Iterable[DatabaseDispatcher]) -> None:
        """Looks again and again, at what `dispatchers` holds then, until cancelled."""
        try:
            while True:
                await self.tend(dispatchers)
                if await set_within(self._poked, self._settings.every_seconds):
                    await asyncio.sleep(self._settings.least_seconds)
                self._poked.clear()
        finally:
            self._over = True
            await self.tasks.cancel()

    async def tend(self, dispatchers: Iterable[DatabaseDispatcher]) -> None:
        """One look at every attempt that has, or should have, a kube job; a database that does not answer
        holds up no other.
        """
        if not self._view.synced():
            return
        self._creation.forget_gone()
        for dispatcher in list(dispatchers):
            if id(dispatcher) in self._tended:
                self._tended[id(dispatcher)] = True
            else:
                self._tended[id(dispatcher)] = False
                self.tasks.own(self._loop.create_task(self._tend_alone(dispatcher)))

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
        # before the ledger: a kube job newer than this look is nobody's orphan
        kube_jobs = self._view.kube_jobs()
        self._following.sightings.exist({kube_job.uid for kube_job in kube_jobs.values()})
        in_hand = await dispatcher.threads.run(dispatcher.ledger.jobs_in_hand)
        pods = self._view.pods()
        missing: dict[int, list[Attempt]] = {}
        incomplete: dict[int, list[Attempt]] = {}
        if in_hand:
            self._empty.discard(id(dispatcher))
        for run in in_hand:
            attempt = (run.run_id, run.attempt)
            entry = entries.get(run.queue_id)
            if entry is None or attempt in self.tasks.busy:
                if run.queue_gone and attempt not in self.tasks.busy:
                    served = run.queue_id in dispatcher.state.queues
                    left = self._following.leave(
                        dispatcher, run, kube_jobs.get(attempt), pods.get(attempt), other_mode=served
                    )
                    self.tasks.guarded(dispatcher, attempt, left)
                continue
            kube_job = kube_jobs.get(attempt)
            if (
                kube_job is None
                and run.state == "launching"
                and not self._following.withdrawn(dispatcher, attempt)
            ):
                if run.claimed_seconds > self._settings.missing_seconds:
                    missing.setdefault(run.queue_id, []).append(attempt)
            else:
                if self._creation.incomplete(entry, run):
                    incomplete.setdefault(run.queue_id, []).append(attempt)
                self.tasks.guarded(
                    dispatcher,
                    attempt,
                    self._following.follow(dispatcher, entry, run, kube_job, pods.get(attempt)),
                )
        for queue_id, attempts in missing.items():
            await self._creation.missing(dispatcher, entries[queue_id], attempts)
        for queue_id, attempts in incomplete.items():
            self._creation.complete(dispatcher, entries[queue_id], attempts)
        attempts_in_hand = {(r.run_id, r.attempt) for r in in_hand}
        self._following.forget(dispatcher, attempts_in_hand)
        self._note_starts(dispatcher, entries, in_hand, kube_jobs)
        self._clearing.orphans(dispatcher, {q.name for q in entries.values()}, kube_jobs, attempts_in_hand)

    def _note_starts(
        self,
        dispatcher: DatabaseDispatcher,
        entries: dict[int, QueueEntry],
        in_hand: list[KubeRun],
        kube_jobs: dict[Attempt, KubeJobSeen],
    ) -> None:
        """Which queues have kube jobs that start, for the claimer: what runs now and did not before, or has
        run in between.
        """
        starts = dispatcher.state.starts
        running = {(run.run_id, run.attempt): run for run in in_hand if run.state == "running"}
        known = {(run.run_id, run.attempt): run for run in in_hand}
        before = self._last.get(id(dispatcher), {})
        for attempt, run in running.items():
            if (last := before.get(attempt)) is None or last.state != "running":
                starts.started(run.queue_id, repeat=run.repeat)
        for attempt, kube_job in kube_jobs.items():
            if (
                kube_job.complete
                and attempt not in known
                and (last := before.get(attempt)) is not None
                and last.state == "launching"
            ):
                starts.started(last.queue_id, repeat=last.repeat)
        self._last[id(dispatcher)] = known
        waiting: dict[int, list[KubeRun]] = {queue_id: [] for queue_id in entries}
        for attempt, run in known.items():
            job = kube_jobs.get(attempt)
            withdrawn = self._following.withdrawn(dispatcher, attempt)
            if (
                run.state == "launching"
                and run.queue_id in waiting
                and job is not None
                and not (job.held or withdrawn)
            ):
                waiting[run.queue_id].append(run)
        for queue_id, entry in entries.items():
            starts.seen(
                queue_id,
                starting=len(waiting[queue_id]),
                repeats=sum(run.repeat for run in waiting[queue_id]),
            )
            if starts.closed(queue_id):
                queue = self._work_queue(entry.name)
                starts.asked(queue_id, queue.metadata.generation if queue else None)
