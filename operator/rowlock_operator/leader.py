"""What the leader does: reconciles every key, dispatches every database, follows every kube job. Ends by
being cancelled.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path

from rowlock_operator.api.kinds import MONITORING_PROCESSES, ROW_SOURCES, WORK_QUEUES
from rowlock_operator.api.labels import worker_deployment_name
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.api.parse import parse_work_queue
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.children import Children
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.events import EventWriter
from rowlock_operator.cluster.namespace_leases import NamespaceLeases
from rowlock_operator.desired.installation import installation_of
from rowlock_operator.dispatch.attempts import LauncherSettings
from rowlock_operator.dispatch.claimer import ClaimerSettings
from rowlock_operator.dispatch.database import DatabaseDispatcher, DispatchSettings
from rowlock_operator.dispatch.launcher import Launcher
from rowlock_operator.dispatch.pod_ends import PodEnds
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.dispatch.write_budget import MIB
from rowlock_operator.errors import RowlockError
from rowlock_operator.intake.watcher import PrimaryWatcher
from rowlock_operator.observed.pods import OwnedPod
from rowlock_operator.reconcile.databases import Databases
from rowlock_operator.reconcile.key_queue import KeyQueue, KeyQueueSettings
from rowlock_operator.reconcile.login_secrets import LoginSecrets
from rowlock_operator.reconcile.monitoring_process import MonitoringProcessController
from rowlock_operator.reconcile.own_pods import OwnPods
from rowlock_operator.reconcile.reporter import Reporter, manifest_of
from rowlock_operator.reconcile.row_source import RowSourceController
from rowlock_operator.reconcile.served_namespaces import ServedNamespaces
from rowlock_operator.reconcile.stats import StatsReader
from rowlock_operator.reconcile.work_queue import QueueChildren, WorkQueueController
from rowlock_operator.rows.ledger import Claimed
from rowlock_operator.rows.vault import Vault
from rowlock_operator.settings import Settings
from rowlock_operator.status.pod_problems import missing_pods, pod_problems, running_pods, unready_worker
from rowlock_operator.telemetry.metrics import Metrics
from rowlock_operator.transport.redis_queues import RedisQueues

log = logging.getLogger("rowlock.leading")
FIGURES_SECONDS, FIGURES_SHARE = 0.5, 0.05  # how often, and of the time that reading them may take
LOOK_SECONDS = 0.25  # a status is written four times a second at most
GONE_SECONDS = 20.0
NAMESPACE_LEASES = 4  # times the leader's: an upgrade of a release must not cost it its namespaces
# Looks that only the clock asks for, a second in all: with few objects each comes at its own pace, with
# thousands they share this.
RESTING_LOOKS, BUSY_LOOKS = 10.0, 200.0
RESTING_SECONDS = 60.0


class Leader:
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
        self._installation = installation_of(settings)
        self._keys: KeyQueue[ObjectKey] | None = None
        self._launcher: Launcher | None = None
        self._pod_ends: PodEnds | None = None
        self._databases: Databases | None = None
        self._leases: NamespaceLeases | None = None
        self.ending = False  # the process ends: this term leaves nothing running

    def add(self, key: ObjectKey) -> None:
        """An object of ours changed; a changed WorkQueue concerns its RowSources, too."""
        if self._keys is None:
            return
        self._keys.add(key)
        if key.kind == WORK_QUEUES.plural:
            self._opened(key)

    def child_changed(self, namespace: str, work_queue: str) -> None:
        self._moved(ObjectKey(WORK_QUEUES.plural, namespace, work_queue))

    def pod_changed(self, key: ObjectKey, pod: OwnedPod | None) -> None:
        if self._pod_ends is not None:
            self._pod_ends.note(key, pod)

    def _moved(self, key: ObjectKey) -> None:
        """Something that concerns an object changed; it may be gone by now."""
        if self._keys is not None and self._watcher.primaries.get(key) is not None:
            self._keys.add(key)

    def _opened(self, work_queue: ObjectKey) -> None:
        """What a WorkQueue's RowSources build on changed."""
        for source in self._watcher.primaries.sources_of(work_queue):
            self._moved(source)

    def _paced(self, seconds: float) -> float:
        """When to look again, where all objects together may ask for so many looks a second; spread, so that
        they do not come together.
        """
        resting = seconds >= RESTING_SECONDS
        least = len(self._watcher.primaries) / (RESTING_LOOKS if resting else BUSY_LOOKS)
        return max(seconds, least) * (random.uniform(0.8, 1.2) if resting else 1.0)

    def _launcher_told(self, work_queue: str) -> None:
        """What keeps kube jobs of a WorkQueue from being made or deleted is told soon."""
        namespace, _, name = work_queue.partition("/")
        self.child_changed(namespace, name)

    def run_changed(self) -> None:
        if self._launcher is not None:
            self._launcher.poke()

    async def lead(self) -> None:
        """The leader's work, until cancelled."""
        await self._watcher.synced()
        await self._children.wait_synced()
        await self.stand_down()
        databases = self._databases = Databases(
            self._kube, self._dispatcher, on_replaced=self._look_at_everything
        )
        launcher = self._launcher = Launcher(
            self._kube,
            self._children,
            installation=self._installation,
            work_queue=self._work_queue,
            dispatchers=lambda: databases,
            metrics=self._metrics,
            on_trouble=self._launcher_told,
            last_pod=self._children.last_pod,
            settings=LauncherSettings(
                queue_write_bytes=self._settings.kube_jobs.queue_write_mib * MIB,
                total_write_bytes=self._settings.kube_jobs.total_write_mib * MIB,
            ),
        )
        events = EventWriter(self._kube, instance=self._settings.pod.name)
        reporter = Reporter(self._kube, self._watcher.primaries, events)
        leases = self._leases = NamespaceLeases(
            self._kube,
            f"{self._settings.pod.namespace}/{self._settings.pod.release}",
            lease_seconds=NAMESPACE_LEASES * self._settings.leader.lease_seconds,
            on_change=self._namespace_changed,
        )
        serving = ServedNamespaces(leases, self._watcher.primaries, events, self._watcher.primaries.keys)
        pod_ends = self._pod_ends = PodEnds(
            dispatcher=lambda name: databases.of(_work_queue_key(name)),
            holds_leases=self._holds_leases,
            on_end=lambda name: self._moved(_work_queue_key(name)),
            now=self._kube.clock.now,
        )
        for key, pod in self._children.every_pod():
            pod_ends.note(key, pod)
        queues = WorkQueueController(
            self._kube,
            self._watcher.primaries,
            databases,
            reporter,
            installation=self._installation,
            children=self._queue_children,
            launch_troubles=launcher.troubles,
            launch_advice=launcher.advice,
            at_write_bound=launcher.at_write_bound,
            on_opened=self._opened,
            advice=serving.advice,
        )
        sources = RowSourceController(
            self._watcher.primaries,
            databases,
            reporter,
            default_secret=self._settings.stores.database_secret,
            advice=serving.advice,
        )

        processes = MonitoringProcessController(
            self._watcher.primaries,
            databases,
            reporter,
            secrets=LoginSecrets(self._kube),
            vault=Vault(Path(self._settings.stores.encryption_keys_file)),
            keys=self._watcher.primaries.keys,
            changed=self.add,
        )
        reconcilers: dict[str, WorkQueueController | RowSourceController | MonitoringProcessController] = {
            WORK_QUEUES.plural: queues,
            ROW_SOURCES.plural: sources,
            MONITORING_PROCESSES.plural: processes,
        }

        async def look(key: ObjectKey) -> float | None:
            if await serving.by_other(key):
                await reconcilers[key.kind].let_go(key)
                return self._paced(RESTING_SECONDS)
            seconds = await reconcilers[key.kind].reconcile(key)
            if key.kind == WORK_QUEUES.plural and self._watcher.primaries.get(key) is None:
                self._metrics.forget_queue(f"{key.namespace}/{key.name}")
            return None if seconds is None else self._paced(seconds)

        self._keys = KeyQueue(
            look,
            settings=KeyQueueSettings(min_interval_seconds=LOOK_SECONDS),
            on_error=self._failed,
            on_done=self._done,
        )
        self._look_at_everything()
        figures = StatsReader(databases, self._metrics, self._moved)
        self._metrics.queue_gauges.read = figures.gauges
        rows_flow_on = False
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keys.run(), name="reconcile")
                group.create_task(launcher.run(), name="launcher")
                group.create_task(pod_ends.run(), name="ends of pods")
                group.create_task(self._read_figures(figures), name="figures")
                group.create_task(self._forget_gone(databases), name="forget gone queues")
                group.create_task(processes.watch(), name="monitoring")
                group.create_task(serving.run(), name="namespace leases")
                group.create_task(OwnPods(self._kube, self._settings.pod.namespace).run(), name="own pods")
        except asyncio.CancelledError:
            rows_flow_on = not self.ending
            raise
        finally:
            self._metrics.queue_gauges.read = tuple
            queues.close()
            keys, self._keys, self._launcher, self._pod_ends = self._keys, None, None, None
            keys.close()
            if rows_flow_on:
                log.info(
                    "dispatch_goes_on", extra={"until": "somebody else is seen to lead, or a new term begins"}
                )
            else:
                await self.stand_down()

    async def stand_down(self) -> None:
        """Ends what a term left dispatching. A lost Lease alone does not: rows and warm workers need no API
        server, and the ledger's own locks bear two dispatchers. Called when somebody else is seen to lead,
        when a new term begins, and at the end.
        """
        databases, self._databases = self._databases, None
        if databases is not None:
            await databases.close()
            log.info("dispatch_ended")

    def _dispatcher(self, url: str) -> DatabaseDispatcher:
        poll = self._settings.poll
        settings = DispatchSettings(
            claimer=ClaimerSettings(busy_seconds=poll.busy_ms / 1000, idle_seconds=poll.idle_ms / 1000)
        )
        return DatabaseDispatcher(
            url,
            self._redis,
            settings,
            launch=self._launch,
            on_error=self._duty_failed,
            on_duplicate=self._duplicate,
            ours=self._ours,
            kube_jobs=True,
        )

    def _ours(self, name: str) -> bool:
        """Whether an object of that name (namespace/name) is in a namespace that we watch, and no other
        release serves. From any thread.
        """
        watched, namespace = self._settings.watched_namespaces, name.partition("/")[0]
        if None not in watched and namespace not in watched:
            return False
        return self._leases is None or not self._leases.others(namespace)

    def _namespace_changed(self, namespace: str) -> None:
        for key in tuple(self._watcher.primaries.keys()):  # noqa: SIM118 - not a dict
            if key.namespace == namespace and self._keys is not None:
                self._keys.add(key)

    def _launch(self, dispatcher: DatabaseDispatcher, queue: QueueEntry, claims: list[Claimed]) -> None:
        """From the claimer's thread. Between two terms the claims wait as `launching` for the next
        launcher.
        """
        launcher = self._launcher
        if launcher is not None:
            launcher.launch(dispatcher, queue, claims)

    def _duty_failed(self, duty: str) -> None:
        self._metrics.duty_errors.labels(duty).inc()

    def _duplicate(self, queue: str, count: int) -> None:
        self._metrics.duplicate_prevented.labels(queue).inc(count)

    def _work_queue(self, name: str) -> WorkQueue | None:
        """The WorkQueue as its user wants it now; None where it is gone or unreadable."""
        key = _work_queue_key(name)
        primary = self._watcher.primaries.get(key)
        if primary is None or primary.deletion_timestamp:
            return None
        with contextlib.suppress(RowlockError):
            return parse_work_queue(manifest_of(WORK_QUEUES, key, primary))
        return None

    def _holds_leases(self, name: str) -> bool:
        queue = self._work_queue(name)
        return queue is None or not queue.spec.is_exit

    def _queue_children(self, key: ObjectKey) -> QueueChildren:
        pods, now = self._children.queue_pods(key.namespace, key.name), self._kube.clock.now()
        return QueueChildren(
            deployment=self._children.deployment(key.namespace, worker_deployment_name(key.name)),
            unfinished_kube_jobs=self._children.unfinished_kube_jobs(key.namespace, key.name),
            running_pods=running_pods(pods),
            unready_worker=unready_worker(pods),
            held_kube_jobs=self._children.held_kube_jobs(key.namespace, key.name),
            pod_problems=pod_problems(pods, now)
            + missing_pods(self._children.podless_kube_jobs(key.namespace, key.name), now),
            ended_pods=tuple(self._children.ended_pods(key.namespace, key.name)),
            recent_ends=(
                self._pod_ends.recent(f"{key.namespace}/{key.name}") if self._pod_ends is not None else ()
            ),
        )

    def _look_at_everything(self) -> None:
        for key in tuple(self._watcher.primaries.keys()):  # noqa: SIM118 - not a dict
            if self._keys is not None:
                self._keys.add(key)

    def _failed(self, key: ObjectKey, error: Exception) -> None:
        self._metrics.reconcile_errors.labels(key.kind).inc()
        expected = isinstance(error, RowlockError)
        log.warning(
            "look_failed", extra={"key": str(key), "why": str(error)}, exc_info=None if expected else error
        )

    def _done(self, key: ObjectKey, seconds: float) -> None:
        self._metrics.reconcile_seconds.labels(key.kind).observe(seconds)

    async def _read_figures(self, figures: StatsReader) -> None:
        while True:
            began = time.monotonic()
            figures.read()
            self._metrics.keys_waiting.set(len(self._keys) if self._keys is not None else 0)
            await asyncio.sleep(max(FIGURES_SECONDS, (time.monotonic() - began) / FIGURES_SHARE))

    async def _forget_gone(self, databases: Databases) -> None:
        """What was deleted while nobody led is still in the ledger as if it were there; and databases that
        nobody uses any more are closed once what is left there is written. Each by itself: one that hangs is
        left to its own look.
        """
        looks: dict[int, asyncio.Task[None]] = {}
        try:
            while True:
                await asyncio.sleep(GONE_SECONDS)
                looks = {each: look for each, look in looks.items() if not look.done()}
                for dispatcher in databases:
                    if id(dispatcher) not in looks:
                        looks[id(dispatcher)] = asyncio.create_task(self._forget_gone_of(dispatcher))
                await databases.close_unused()
        finally:
            for look in looks.values():
                look.cancel()

    async def _forget_gone_of(self, dispatcher: DatabaseDispatcher) -> None:
        with contextlib.suppress(RowlockError):
            for name in await dispatcher.threads.run(dispatcher.ledger.queue_names):
                if self._gone(WORK_QUEUES.plural, name):
                    await dispatcher.threads.run(dispatcher.unregister_queue, name)
            for name in await dispatcher.threads.run(dispatcher.ledger.source_names):
                if self._gone(ROW_SOURCES.plural, name):
                    await dispatcher.threads.run(dispatcher.retire_source, name)

    def _gone(self, plural: str, name: str) -> bool:
        namespace, _, short = name.partition("/")
        return self._ours(name) and self._watcher.primaries.get(ObjectKey(plural, namespace, short)) is None


def _work_queue_key(name: str) -> ObjectKey:
    """Of namespace/name."""
    namespace, _, short = name.partition("/")
    return ObjectKey(WORK_QUEUES.plural, namespace, short)
