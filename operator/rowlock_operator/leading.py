"""What the leader does: reconciles every key, dispatches every database, follows every kube job. Ends by being cancelled."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from rowlock_operator.api.parse import parse_work_queue
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.children import Children
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.events import EventWriter
from rowlock_operator.cluster.kinds import ROW_SOURCES, WORK_QUEUES, ObjectKey
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.names import worker_deployment_name
from rowlock_operator.dispatch.claimer import ClaimerSettings
from rowlock_operator.dispatch.database import DatabaseDispatcher, DispatchSettings
from rowlock_operator.dispatch.launcher import Launcher
from rowlock_operator.errors import RowlockError
from rowlock_operator.intake.watcher import PrimaryWatcher
from rowlock_operator.reconcile.databases import Databases
from rowlock_operator.reconcile.key_queue import KeyQueue, KeyQueueSettings
from rowlock_operator.reconcile.reporting import Reporter, manifest_of
from rowlock_operator.reconcile.row_sources import RowSources
from rowlock_operator.reconcile.work_queues import QueueChildren, WorkQueues
from rowlock_operator.rows.ledger import Ended
from rowlock_operator.settings import Settings
from rowlock_operator.status.pod_problems import pod_problems
from rowlock_operator.telemetry.metrics import Metrics
from rowlock_operator.transport.redis_queues import RedisQueues

log = logging.getLogger("rowlock.leading")
FIGURES_SECONDS = 0.5
LOOK_SECONDS = 0.25  # a status is written four times a second at most
GONE_SECONDS = 20.0
DATABASE_SILENT_SECONDS = 15.0


class Leading:
    """One term of leadership. `add` and `poke` may be called at any time; outside a term nobody listens."""

    def __init__(
        self,
        settings: Settings,
        kube: KubeClient,
        watcher: PrimaryWatcher,
        children: Children,
        redis: Callable[[], RedisQueues],
        metrics: Metrics,
    ) -> None:
        self._settings, self._kube, self._watcher, self._children = settings, kube, watcher, children
        self._redis, self._metrics = redis, metrics
        self._installation = Installation(
            worker_image=settings.worker.image,
            worker_image_pull_policy=settings.worker.image_pull_policy,
            database_secret=settings.stores.database_secret,
            redis_secret=settings.stores.redis_secret,
        )
        self._keys: KeyQueue[ObjectKey] | None = None
        self._launcher: Launcher | None = None

    def add(self, key: ObjectKey) -> None:
        """An object of ours changed; a changed WorkQueue concerns its RowSources, too."""
        if self._keys is None:
            return
        self._keys.add(key)
        if key.kind == WORK_QUEUES.plural:
            for other in self._watcher.primaries.keys(ROW_SOURCES.plural):
                if other.namespace == key.namespace:
                    self._keys.add(other)

    def child_changed(self, namespace: str, work_queue: str) -> None:
        key = ObjectKey(WORK_QUEUES.plural, namespace, work_queue)
        if self._keys is not None and self._watcher.primaries.get(key) is not None:
            self._keys.add(key)

    def run_changed(self) -> None:
        if self._launcher is not None:
            self._launcher.poke()

    async def lead(self) -> None:
        """The leader's work, until cancelled."""
        await self._watcher.synced()
        await self._children.wait_synced()
        databases = Databases(self._kube, self._dispatcher, on_replaced=self._look_at_everything)
        launcher = self._launcher = Launcher(
            self._kube,
            self._children,
            installation=self._installation,
            work_queue=self._work_queue,
            dispatchers=lambda: databases,
            metrics=self._metrics,
        )
        reporter = Reporter(self._kube, self._watcher.primaries, EventWriter(self._kube, instance=self._settings.pod.name))
        queues = WorkQueues(
            self._kube,
            self._watcher.primaries,
            databases,
            reporter,
            installation=self._installation,
            children=self._queue_children,
            launch_troubles=launcher.troubles,
        )
        sources = RowSources(self._watcher.primaries, databases, reporter, default_secret=self._settings.stores.database_secret)

        async def look(key: ObjectKey) -> float | None:
            return await (queues if key.kind == WORK_QUEUES.plural else sources).reconcile(key)

        self._keys = KeyQueue(look, settings=KeyQueueSettings(min_interval_seconds=LOOK_SECONDS), on_error=self._failed, on_done=self._done)
        self._look_at_everything()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keys.run(), name="reconcile")
                group.create_task(launcher.run(), name="launcher")
                group.create_task(self._figures(databases), name="figures")
                group.create_task(self._forget_gone(databases), name="forget gone queues")
        finally:
            keys, self._keys, self._launcher = self._keys, None, None
            keys.close()
            await databases.close()

    def _dispatcher(self, url: str) -> DatabaseDispatcher:
        poll = self._settings.poll
        settings = DispatchSettings(claimer=ClaimerSettings(busy_seconds=poll.busy_ms / 1000, idle_seconds=poll.idle_ms / 1000))
        launcher = self._launcher
        assert launcher is not None
        return DatabaseDispatcher(url, self._redis, settings, launch=launcher.launch, on_duplicate=self._duplicate)

    def _duplicate(self, queue: str, count: int) -> None:
        self._metrics.duplicate_prevented.labels(queue).inc(count)

    def _work_queue(self, name: str) -> WorkQueue | None:
        """The WorkQueue as its user wants it now; None where it is gone or unreadable."""
        namespace, _, short = name.partition("/")
        key = ObjectKey(WORK_QUEUES.plural, namespace, short)
        primary = self._watcher.primaries.get(key)
        if primary is None or primary.deletion_timestamp:
            return None
        with contextlib.suppress(RowlockError):
            return parse_work_queue(manifest_of(WORK_QUEUES, key, primary))
        return None

    def _queue_children(self, key: ObjectKey) -> QueueChildren:
        return QueueChildren(
            deployment=self._children.deployment(key.namespace, worker_deployment_name(key.name)),
            unfinished_kube_jobs=self._children.unfinished_kube_jobs(key.namespace, key.name),
            pod_problems=pod_problems(self._children.queue_pods(key.namespace, key.name)),
        )

    def _look_at_everything(self) -> None:
        for key in tuple(self._watcher.primaries.keys()):  # noqa: SIM118 - not a dict
            if self._keys is not None:
                self._keys.add(key)

    def _failed(self, key: ObjectKey, error: Exception) -> None:
        self._metrics.reconcile_errors.labels(key.kind).inc()
        expected = isinstance(error, RowlockError)
        log.warning("look_failed", extra={"key": str(key), "why": str(error)}, exc_info=None if expected else error)

    def _done(self, key: ObjectKey, seconds: float) -> None:
        self._metrics.reconcile_seconds.labels(key.kind).observe(seconds)

    async def _figures(self, databases: Databases) -> None:
        """Metrics from the dispatchers' figures; a queue or source whose figures changed is looked at."""
        last: dict[ObjectKey, object] = {}
        blocked: dict[str, int] = {}
        while True:
            in_use, reachable = 0, True
            for dispatcher in databases:
                in_use += dispatcher.pool.in_use
                state = dispatcher.state
                age = state.depth_age_seconds()
                reachable = reachable and (age is None or age < DATABASE_SILENT_SECONDS)
                while state.ended:
                    self._count_ended(state.ended.popleft())
                for depth in list(state.depths.values()):
                    for name in ("waiting", "queued", "launching", "running"):
                        self._metrics.queue_depth.labels(depth.queue, name).set(getattr(depth, name))
                    self._metrics.queue_depth.labels(depth.queue, "blocked").set(depth.blocked)
                    self._metrics.throttled.labels(depth.queue).inc(max(0, depth.blocked - blocked.get(depth.queue, 0)))
                    blocked[depth.queue] = depth.blocked
                    self._metrics.oldest_waiting_seconds.labels(depth.queue).set(depth.oldest_seconds or 0.0)
                    namespace, _, name = depth.queue.partition("/")
                    failed = state.failures.get(depth.queue_id, 0)
                    figures = (depth.waiting, depth.ready, depth.blocked, depth.queued, depth.launching, depth.running, failed)
                    self._note(last, ObjectKey(WORK_QUEUES.plural, namespace, name), figures)
                for entry in state.source_entries():
                    namespace, _, name = entry.source.plan.name.partition("/")
                    seen = (entry.pending, entry.waiting_in_ledger, entry.running, entry.done, entry.failed, entry.throttled, entry.error)
                    self._note(last, ObjectKey(ROW_SOURCES.plural, namespace, name), seen)
            self._metrics.db_pool_in_use.set(in_use)
            self._metrics.database_up.set(int(reachable))
            self._metrics.keys_waiting.set(len(self._keys) if self._keys is not None else 0)
            await asyncio.sleep(FIGURES_SECONDS)

    async def _forget_gone(self, databases: Databases) -> None:
        """WorkQueues that were deleted while nobody led are still in the ledger as if they were there."""
        watched = self._settings.watched_namespaces
        while True:
            await asyncio.sleep(GONE_SECONDS)
            for dispatcher in databases:
                with contextlib.suppress(RowlockError):
                    for name in await asyncio.to_thread(dispatcher.ledger.queue_names):
                        namespace, _, short = name.partition("/")
                        ours = None in watched or namespace in watched
                        if ours and self._watcher.primaries.get(ObjectKey(WORK_QUEUES.plural, namespace, short)) is None:
                            await asyncio.to_thread(dispatcher.unregister_queue, name)

    def _count_ended(self, ended: Ended) -> None:
        self._metrics.runs_finished.labels(ended.queue, ended.state).inc(ended.count)
        if ended.state in ("dead", "unknown"):
            self._metrics.dead_letter.labels(ended.queue).inc(ended.count)
        for seconds in ended.start_seconds:
            self._metrics.row_to_start_seconds.labels(ended.queue).observe(seconds)

    def _note(self, last: dict[ObjectKey, object], key: ObjectKey, figures: object) -> None:
        if last.get(key) != figures:
            last[key] = figures
            if self._keys is not None and self._watcher.primaries.get(key) is not None:
                self._keys.add(key)
