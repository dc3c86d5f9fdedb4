"""What the leader does: reconciles every key, dispatches every database, follows every kube job.

A `LeaderTerm` is made of its parts anew for each term. The `Leader` lives as long as the process: it knows
what a term left dispatching, and ends it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from rowlock_operator.api.kinds import KINDS
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.cluster.children import Children
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.events import EventWriter
from rowlock_operator.cluster.namespace_leases import NamespaceLeases
from rowlock_operator.desired.installation import installation_of
from rowlock_operator.dispatch.attempts import LauncherSettings
from rowlock_operator.dispatch.launcher import Launcher
from rowlock_operator.dispatch.pod_ends import PodEnds
from rowlock_operator.dispatch.write_budget import MIB
from rowlock_operator.intake.watcher import PrimaryWatcher
from rowlock_operator.observed.pods import OwnedPod
from rowlock_operator.reconcile.changes import Changes
from rowlock_operator.reconcile.controller import Shared
from rowlock_operator.reconcile.controller_loop import ControllerLoop
from rowlock_operator.reconcile.controllers import CONTROLLERS
from rowlock_operator.reconcile.databases import Databases
from rowlock_operator.reconcile.dispatchers import DispatcherFactory
from rowlock_operator.reconcile.gone import GoneCollector
from rowlock_operator.reconcile.key_queue import KeyQueue, KeyQueueSettings
from rowlock_operator.reconcile.key_router import KeyRouter
from rowlock_operator.reconcile.objects import WorkQueueSpecs
from rowlock_operator.reconcile.own_pods import OwnPods
from rowlock_operator.reconcile.queue_children import QueueChildrenReader
from rowlock_operator.reconcile.reporter import Reporter
from rowlock_operator.reconcile.served_namespaces import ServedNamespaces
from rowlock_operator.reconcile.stats import StatsReader
from rowlock_operator.settings import Settings
from rowlock_operator.telemetry.metrics import Metrics
from rowlock_operator.telemetry.queue_gauges import QueueFigures
from rowlock_operator.transport.redis_queues import RedisQueues

log = logging.getLogger("rowlock.leader")
LOOK_SECONDS = 0.25  # a status is written four times a second at most
NAMESPACE_LEASES = 4  # times the leader's: an upgrade of a release must not cost it its namespaces


class LeaderTerm:
    """One term: everything that works only while we lead. It hears every change of the watches."""

    def __init__(
        self,
        settings: Settings,
        kube: KubeClient,
        watcher: PrimaryWatcher,
        children: Children,
        redis: Callable[[], RedisQueues],
        metrics: Metrics,
    ) -> None:
        pod, objects = settings.pod, watcher.primaries
        self._children = children
        self._keys = KeyQueue[ObjectKey](settings=KeyQueueSettings(min_interval_seconds=LOOK_SECONDS))
        self._router = KeyRouter(self._keys, objects)
        events = EventWriter(kube, instance=pod.name)
        leases = NamespaceLeases(
            kube,
            f"{pod.namespace}/{pod.release}",
            lease_seconds=NAMESPACE_LEASES * settings.leader.lease_seconds,
            on_change=self._router.namespace_changed,
        )
        self._served = ServedNamespaces(leases, objects, events, watched=settings.watched_namespaces)
        work_queues = WorkQueueSpecs(objects)
        self._launcher = Launcher(
            kube,
            children,
            installation=installation_of(settings),
            work_queue=work_queues.get,
            metrics=metrics,
            on_trouble=self._router.work_queue_concerned,
            last_pod=children.last_pod,
            settings=LauncherSettings(
                queue_write_bytes=settings.kube_jobs.queue_write_mib * MIB,
                total_write_bytes=settings.kube_jobs.total_write_mib * MIB,
            ),
        )
        dispatchers = DispatcherFactory(
            settings, redis, metrics, launch=self._launcher.launch, ours=self._served.ours
        )
        self.databases = Databases(kube, dispatchers, on_replaced=self._router.everything)
        self._pod_ends = PodEnds(
            dispatcher=self.databases.named,
            holds_leases=work_queues.holds_leases,
            on_end=self._router.work_queue_concerned,
            now=kube.clock.now,
        )
        self.stats = StatsReader(self.databases, metrics, self._router, waiting=self._keys.__len__)
        self._gone = GoneCollector(self.databases, objects, self._served.ours)
        self._own_pods = OwnPods(kube, pod.namespace)
        shared = Shared(
            settings=settings,
            kube=kube,
            objects=objects,
            router=self._router,
            databases=self.databases,
            reporter=Reporter(kube, objects, events),
            served=self._served,
            children=QueueChildrenReader(children, self._pod_ends, now=kube.clock.now),
            launcher=self._launcher,
            metrics=metrics,
        )
        self._controllers = {kind.plural: CONTROLLERS[kind](shared) for kind in KINDS}
        self._loop = ControllerLoop(
            self._keys, self._controllers, served=self._served, objects=objects, metrics=metrics
        )

    async def run(self) -> None:
        """Until cancelled; the databases stay open."""
        for key, pod in self._children.every_pod():
            self._pod_ends.note(key, pod)
        self._router.everything()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._loop.run(), name="reconcile")
                group.create_task(self._launcher.run(self.databases), name="launcher")
                group.create_task(self._pod_ends.run(), name="ends of pods")
                group.create_task(self.stats.run(), name="stats")
                group.create_task(self._gone.run(), name="gone queues and sources")
                group.create_task(self._served.run(), name="namespace leases")
                group.create_task(self._own_pods.run(), name="own pods")
                for plural, controller in self._controllers.items():
                    group.create_task(controller.run(), name=plural)
        finally:
            for controller in self._controllers.values():
                controller.close()
            self._keys.close()

    def object_changed(self, key: ObjectKey) -> None:
        self._router.changed(key)

    def child_changed(self, namespace: str, work_queue: str) -> None:
        self._router.work_queue_concerned(f"{namespace}/{work_queue}")

    def run_changed(self) -> None:
        self._launcher.poke()

    def pod_changed(self, key: ObjectKey, pod: OwnedPod | None) -> None:
        self._pod_ends.note(key, pod)


class Leader:
    """One a process: leads term after term."""

    def __init__(
        self,
        settings: Settings,
        kube: KubeClient,
        watcher: PrimaryWatcher,
        children: Children,
        changes: Changes,
        redis: Callable[[], RedisQueues],
        metrics: Metrics,
    ) -> None:
        self._settings, self._kube, self._watcher, self._children = settings, kube, watcher, children
        self._changes, self._redis, self._metrics = changes, redis, metrics
        self._term: LeaderTerm | None = None
        self._databases: Databases | None = None
        self._ends = False

    async def lead(self) -> None:
        """One term, until cancelled. What it dispatches goes on after a lost Lease: rows and warm workers
        need no API server, and the ledger's own locks bear two dispatchers.
        """
        await self._watcher.synced()
        await self._children.wait_synced()
        await self.stand_down()
        term = self._term = LeaderTerm(
            self._settings, self._kube, self._watcher, self._children, self._redis, self._metrics
        )
        self._databases, rows_flow_on = term.databases, False
        try:
            with self._changes.heard_by(term):
                await term.run()
        except asyncio.CancelledError:
            rows_flow_on = not self._ends
            raise
        finally:
            self._term = None
            if rows_flow_on:
                log.info(
                    "dispatch_goes_on", extra={"until": "somebody else is seen to lead, or a new term begins"}
                )
            else:
                await self.stand_down()

    def queue_stats(self) -> Iterable[QueueFigures]:
        """Of every queue that is served; none outside a term."""
        return () if self._term is None else self._term.stats.queues()

    def announce_end(self) -> None:
        """The process ends: this term leaves nothing running."""
        self._ends = True

    async def stand_down(self) -> None:
        """Ends what a term left dispatching: called when somebody else is seen to lead, when a new term
        begins, and at the end.
        """
        databases, self._databases = self._databases, None
        if databases is not None:
            await databases.close()
            log.info("dispatch_ended")
