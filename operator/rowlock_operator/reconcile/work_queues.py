"""One look at one WorkQueue: gather, decide, apply, report."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rowlock_operator.api import reasons
from rowlock_operator.api.parse import parse_work_queue
from rowlock_operator.api.work_queue import DatabaseRef, WorkQueue
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.kinds import DEPLOYMENTS, WORK_QUEUES, ObjectKey
from rowlock_operator.decide.scaling import ScalingDecision, decide_replicas
from rowlock_operator.desired.deployments import build_first_worker_deployment, build_worker_deployment
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.names import SPEC_HASH, selector_text, worker_deployment_name, worker_selector
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.errors import Conflict, GiveUp, InvalidSpec, RetryLater
from rowlock_operator.observed.deployments import DeploymentSeen, observe_deployment
from rowlock_operator.observed.queues import Depth, PodProblem, QueueObservation, Trouble, trouble
from rowlock_operator.reconcile.databases import Databases
from rowlock_operator.reconcile.patience import Patience
from rowlock_operator.reconcile.reporting import PrimaryCache, Reporter, manifest_of
from rowlock_operator.status.work_queues import fold_work_queue_status

BUSY_SECONDS, IDLE_SECONDS, TROUBLE_SECONDS = 2.0, 60.0, 10.0
STALE_DEPTH_SECONDS = 15.0
ACTIVITY_STEP = timedelta(seconds=10)


@dataclass(frozen=True)
class QueueChildren:
    """What the informers know of one WorkQueue."""

    deployment: DeploymentSeen | None
    unfinished_kube_jobs: int
    pod_problems: tuple[PodProblem, ...]


class WorkQueues:
    """Level-based: any look may be repeated, and needs nothing of an earlier one."""

    def __init__(
        self,
        kube: KubeClient,
        cache: PrimaryCache,
        databases: Databases,
        reporter: Reporter,
        *,
        installation: Installation,
        children: Callable[[ObjectKey], QueueChildren],
        launch_troubles: Mapping[str, Trouble],
        on_opened: Callable[[ObjectKey], None] = lambda _key: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`on_opened(key)` is told when a WorkQueue was registered: its RowSources wait for that."""
        self._kube, self._cache, self._databases, self._reporter = kube, cache, databases, reporter
        self._installation, self._children, self._launch_troubles, self._now = installation, children, launch_troubles, now
        self._on_opened, self._patience = on_opened, Patience()
        self._registered: dict[ObjectKey, tuple[DatabaseDispatcher, object]] = {}

    def database_ref(self, queue: WorkQueue) -> DatabaseRef:
        """The queue's own reference, or the installation's."""
        return queue.spec.database_ref or DatabaseRef(secret_name=self._installation.database_secret)

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Returns when to look again, in seconds."""
        primary = self._cache.get(key)
        if primary is None or primary.deletion_timestamp:
            await self._forget(key)
            return None
        manifest = manifest_of(WORK_QUEUES, key, primary)
        queue = parse_work_queue(manifest)
        troubles: list[Trouble] = []
        dispatcher, entry = await self._register(key, queue, troubles)
        children = self._children(key)
        depth, depth_problem = self._depth(dispatcher, entry)
        deployment: DeploymentSeen | None = children.deployment
        decision: ScalingDecision | None = None
        if queue.spec.is_workers:
            deployment, decision = await self._apply(queue, children.deployment, depth, troubles)
        if queue.spec.is_workers and dispatcher is not None and (redis_trouble := dispatcher.state.redis):
            troubles.append(redis_trouble)
        advice: list[Trouble] = []
        if dispatcher is not None:
            stopping, advice = dispatcher.state.troubles_of_queue(jobs_mode=not queue.spec.is_workers)
            troubles += stopping
        if key_trouble := self._launch_troubles.get(queue.metadata.key):
            troubles.append(key_trouble)
        if depth is None and entry is not None and not troubles and (left := self._patience.left(key)):
            return left
        if depth is not None:
            self._patience.settle(key)
        observation = QueueObservation(
            now=self._now(),
            depth=depth,
            depth_problem=depth_problem,
            deployment=deployment,
            kube_jobs=children.unfinished_kube_jobs if queue.spec.mode == "Jobs" else None,
            failed=_failed(dispatcher, entry),
            pod_problems=children.pod_problems,
            troubles=tuple(troubles),
            advice=tuple(advice),
            left_over=dispatcher.state.left_over_trouble(entry.queue_id) if dispatcher is not None and entry is not None else None,
        )
        status = fold_work_queue_status(
            queue,
            observation,
            wanted_replicas=decision.replicas if decision else None,
            last_active_at=self._activity(queue, decision),
            selector=selector_text(worker_selector(queue.metadata.name)) if queue.spec.is_workers else "",
        )
        await self._reporter.report(WORK_QUEUES, key, primary, status)
        if troubles or advice:
            return TROUBLE_SECONDS
        busy = depth is None or depth.load or depth.waiting or (deployment and deployment.replicas)
        return BUSY_SECONDS if busy else IDLE_SECONDS

    async def _register(
        self, key: ObjectKey, queue: WorkQueue, troubles: list[Trouble]
    ) -> tuple[DatabaseDispatcher | None, QueueEntry | None]:
        try:
            dispatcher = await self._databases.open(key, self.database_ref(queue))
            return dispatcher, await self._enter(key, queue, dispatcher)
        except GiveUp as error:
            troubles.append(Trouble(reason=error.reason, message=str(error)))
        except RetryLater as error:
            troubles.append(trouble(reasons.DATABASE_UNREACHABLE, why=error))
        return self._databases.of(key), None

    async def _enter(self, key: ObjectKey, queue: WorkQueue, dispatcher: DatabaseDispatcher) -> QueueEntry:
        spec = queue.spec
        entry = QueueEntry(
            0,
            queue.metadata.key,
            not spec.is_workers,
            spec.suspend,
            spec.limits.hard_seconds,
            spec.parallelism,
            spec.starting_deadline_seconds,
        )
        retry = {
            name: {"limit": each.limit, "backoff_seconds": each.backoff_seconds, "max_backoff_seconds": each.max_backoff_seconds}
            for name, each in (("infra", spec.retry.infra), ("app", spec.retry.app), ("site", spec.retry.site))
        }
        # The same for most queues, so that one copy serves all.
        wanted = (sys.intern(f"{retry} {spec.history} {spec.tasks}"), entry)
        known = dispatcher.queue_named(queue.metadata.key)
        if known is not None and self._registered.get(key) == (dispatcher, wanted):
            return known  # no write where nothing changed
        registered = await asyncio.to_thread(
            dispatcher.register_queue,
            entry,
            retry=retry,
            succeeded_seconds=spec.history.succeeded_seconds,
            dead_seconds=spec.history.dead_seconds,
            tasks=spec.tasks,
        )
        self._registered[key] = (dispatcher, wanted)
        self._on_opened(key)
        return registered

    def _depth(self, dispatcher: DatabaseDispatcher | None, entry: QueueEntry | None) -> tuple[Depth | None, str]:
        if dispatcher is None or entry is None:
            return None, "the database is not reached"
        age = dispatcher.state.depth_age_seconds()
        if age is None or (dispatcher.state.failures is None and "figures" not in dispatcher.state.errors):
            # Both come in the first moment, and a look between them would write twice; but scaling needs the depth alone.
            return None, "it was not counted yet"
        if age > STALE_DEPTH_SECONDS:
            return None, dispatcher.state.errors.get("depths", f"it was last counted {age:.0f} s ago")
        if entry.queue_id in dispatcher.state.depths_unknown:
            return None, dispatcher.state.depths_unknown[entry.queue_id]
        seen = dispatcher.state.depths.get(entry.queue_id)
        if seen is None:
            return Depth(), ""
        oldest = None if seen.oldest_seconds is None else (self._now() - timedelta(seconds=seen.oldest_seconds)).replace(microsecond=0)
        return (
            Depth(
                waiting=seen.waiting,
                due=seen.ready,
                blocked=seen.blocked,
                queued=seen.queued,
                launching=seen.launching,
                running=seen.running,
                oldest_since=oldest,
            ),
            "",
        )

    async def _apply(
        self, queue: WorkQueue, seen: DeploymentSeen | None, depth: Depth | None, troubles: list[Trouble]
    ) -> tuple[DeploymentSeen | None, ScalingDecision]:
        """Deployment as wanted, then its replicas through /scale."""
        wanted = build_worker_deployment(queue=queue, installation=self._installation)
        decision = decide_replicas(
            queue.spec,
            now=self._now(),
            depth=depth,
            current=seen.spec_replicas if seen else 0,
            busy_workers=None,
            last_active_at=queue.status.last_active_time,
        )
        name, namespace = worker_deployment_name(queue.metadata.name), queue.metadata.namespace
        try:
            if seen is None:
                first = build_first_worker_deployment(queue=queue, installation=self._installation, replicas=decision.replicas or 0)
                return observe_deployment(await self._kube.create(DEPLOYMENTS, first)), decision
            if seen.spec_hash != wanted["metadata"]["annotations"][SPEC_HASH]:
                seen = observe_deployment(await self._kube.apply(DEPLOYMENTS, wanted))
            if seen is not None and decision.replicas is not None and decision.replicas != seen.spec_replicas:
                await self._kube.patch_scale(DEPLOYMENTS, namespace, name, decision.replicas)
        except Conflict:
            raise RetryLater(f"Deployment {namespace}/{name} was made by somebody else meanwhile; looked at again", 0.5) from None
        except InvalidSpec as error:
            troubles.append(trouble(reasons.CHILD_REFUSED, kind="Deployment", name=name, why=error.why))
        except GiveUp as error:
            troubles.append(Trouble(reason=error.reason, message=str(error)))
        return seen, decision

    def _activity(self, queue: WorkQueue, decision: ScalingDecision | None) -> datetime | None:
        """When there last was work for all pods, to some seconds: it moves with every look, and a status is not written for that."""
        before, now = queue.status.last_active_time, decision.last_active_at if decision else None
        if now is None or (before is not None and abs(now - before) < ACTIVITY_STEP):
            return before
        return now.replace(microsecond=0)

    async def _forget(self, key: ObjectKey) -> None:
        """Children go with their owner (garbage collection); runs stay in the ledger until the WorkQueue comes back or they are canceled."""
        dispatcher = self._databases.of(key)
        self._registered.pop(key, None)
        self._patience.settle(key)
        if dispatcher is not None:
            await asyncio.to_thread(dispatcher.unregister_queue, f"{key.namespace}/{key.name}")
        await self._databases.release(key)


def _failed(dispatcher: DatabaseDispatcher | None, entry: QueueEntry | None) -> int | None:
    """Runs of the queue that wait for a human; None where they were not counted yet."""
    if dispatcher is None or entry is None or dispatcher.state.failures is None:
        return None
    return dispatcher.state.failures.get(entry.queue_id, 0)
