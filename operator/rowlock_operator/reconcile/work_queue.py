"""One look at one WorkQueue: gather, decide, apply, report."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from rowlock_operator.api import reasons
from rowlock_operator.api.kinds import WORK_QUEUES
from rowlock_operator.api.labels import SPEC_HASH, selector_text, worker_deployment_name, worker_selector
from rowlock_operator.api.manifest import ObjectKey
from rowlock_operator.api.work_queue import DatabaseRef, WorkQueue
from rowlock_operator.cluster.adoption import adopt, owner_of_child
from rowlock_operator.cluster.event_reader import EventReader
from rowlock_operator.cluster.kinds import DEPLOYMENTS
from rowlock_operator.decide.ownership import Whose, whose
from rowlock_operator.decide.scaling import ScalingDecision, decide_replicas
from rowlock_operator.desired.deployments import build_first_worker_deployment, build_worker_deployment
from rowlock_operator.desired.installation import installation_of
from rowlock_operator.dispatch.backoff import Backoffs
from rowlock_operator.dispatch.database import DatabaseDispatcher
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.errors import GiveUp, RetryLater, RowlockError
from rowlock_operator.observed.deployments import DeploymentSeen, observe_deployment
from rowlock_operator.observed.queues import Depth, Involved, PodProblem, QueueObservation, Trouble, trouble
from rowlock_operator.reconcile.controller import Controller, Shared
from rowlock_operator.reconcile.ended_pods import EndedPods
from rowlock_operator.reconcile.objects import manifest_of
from rowlock_operator.reconcile.queue_children import QueueChildren
from rowlock_operator.reconcile.replicas import Replicas
from rowlock_operator.reconcile.startup_grace import StartupGrace
from rowlock_operator.status.pod_problems import ended_pods, with_recent
from rowlock_operator.status.work_queues import fold_work_queue_status

T = TypeVar("T")
BUSY_SECONDS, IDLE_SECONDS, TROUBLE_SECONDS = 2.0, 60.0, 10.0
STALE_DEPTH_SECONDS = 15.0
STEPS = ("apply", "scale", "drop")  # each is refused, and tried again, by itself
ACTIVITY_STEP = timedelta(seconds=10)
# that a look waits for the API server; the second, once it was slow or refused
ANSWER_SECONDS, AGAIN_SECONDS = 3.0, 0.2
NO_WORKER_SECONDS = 120.0  # a node that is added, a large image: then a first worker is ready, if ever


class WorkQueueController(Controller):
    """Level-based: any look may be repeated, and needs nothing of an earlier one."""

    def __init__(
        self,
        shared: Shared,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        kube = self._kube = shared.kube
        self._objects, self._router = shared.objects, shared.router
        self._databases, self._reporter = shared.databases, shared.reporter
        self._served, self._children = shared.served, shared.children
        self._launcher, self._metrics = shared.launcher, shared.metrics
        self._installation = installation_of(shared.settings)
        self._now = now
        self._began = now()
        self._grace = StartupGrace()
        self._first_worker = StartupGrace(NO_WORKER_SECONDS, clock)
        self._events = EventReader(kube, clock=clock)
        self._refused = Backoffs[tuple[str, str]](clock=clock)  # by step and WorkQueue
        # likewise: what was not answered at the last look
        self._under_way: dict[tuple[str, str], asyncio.Future[Any]] = {}
        self._ended_pods = EndedPods(kube)
        self._replicas = Replicas(kube, clock)
        self._registered: dict[ObjectKey, tuple[DatabaseDispatcher, object]] = {}

    def close(self) -> None:
        """The term is over: what is under way is given up."""
        for task in self._under_way.values():
            task.cancel()
        self._under_way.clear()

    def database_ref(self, queue: WorkQueue) -> DatabaseRef:
        """The queue's own reference, or the installation's."""
        return queue.spec.database_ref or DatabaseRef(secret_name=self._installation.database_secret)

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Returns when to look again, in seconds."""
        primary = self._objects.get(key)
        if primary is None or primary.deletion_timestamp:
            await self._forget(key)
            if self._objects.get(key) is None:
                self._metrics.forget_queue(f"{key.namespace}/{key.name}")
            return None
        manifest = manifest_of(WORK_QUEUES, key, primary)
        queue = WorkQueue.parse(manifest)
        troubles: list[Trouble] = []
        advice = self._served.advice(key.namespace)
        dispatcher, entry = await self._register(key, queue, troubles)
        children = self._children.of(key)
        depth, depth_problem = self._depth(dispatcher, entry)
        deployment: DeploymentSeen | None = children.deployment
        decision: ScalingDecision | None = None
        if queue.spec.is_workers:
            deployment, decision = await self._apply(queue, children.deployment, depth, troubles, advice)
        elif children.deployment is not None:
            await self._drop_workers(queue, children.deployment, advice)
        if queue.spec.is_workers and dispatcher is not None and (redis_trouble := dispatcher.state.redis):
            troubles.append(redis_trouble)
        if dispatcher is not None:
            stopping, others = dispatcher.state.troubles_of_queue(jobs_mode=not queue.spec.is_workers)
            troubles += stopping
            advice += others
        if in_the_way := await self._ended_pods.clear(key, [pod.name for pod in children.ended_pods]):
            advice.append(in_the_way)
        if dispatcher is not None and entry is not None:
            unstarted, interrupted = dispatcher.state.troubles_of_starts(entry.queue_id)
            troubles += [unstarted] if unstarted and not queue.spec.suspend else []
            advice += [interrupted] if interrupted else []
        if key_trouble := self._launcher.troubles.get(queue.metadata.key):
            troubles.append(key_trouble)
        if key_advice := self._launcher.advice.get(queue.metadata.key):
            advice.append(key_advice)
        if depth is None and entry is not None and not troubles and (left := self._grace.left(key)):
            return left
        if depth is not None:
            self._grace.end(key)
        no_worker = self._no_worker_for_long(key, queue, deployment, depth)
        observation = QueueObservation(
            now=self._now(),
            depth=depth,
            depth_problem=depth_problem,
            deployment=deployment,
            kube_jobs=children.unfinished_kube_jobs if queue.spec.mode == "Jobs" else None,
            held_kube_jobs=children.held_kube_jobs,
            failed=_failed(dispatcher, entry),
            pod_problems=await self._explained(key, children.pod_problems),
            running_pods=children.running_pods,
            no_worker_for_long=no_worker,
            not_ready_because=await self._why_not_ready(key, children) if no_worker else "",
            ended_pods=with_recent(ended_pods(children.ended_pods), children.recent_ends),
            at_write_bound=self._launcher.at_write_bound(queue.metadata.key),
            troubles=tuple(troubles),
            advice=tuple(advice),
            left_over=dispatcher.state.left_over_trouble(entry.queue_id)
            if dispatcher is not None and entry is not None
            else None,
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
            return min(TROUBLE_SECONDS, self._try_again_seconds(queue))
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
            queue_id=0,  # the ledger gives one
            name=queue.metadata.key,
            jobs_mode=not spec.is_workers,
            suspended=spec.suspend,
            hard_seconds=spec.limits.hard_seconds,
            parallelism=spec.parallelism,
            starting_deadline_seconds=spec.starting_deadline_seconds,
        )
        retry = {
            name: {
                "limit": each.limit,
                "backoff_seconds": each.backoff_seconds,
                "max_backoff_seconds": each.max_backoff_seconds,
            }
            for name, each in (
                ("infra", spec.retry.infra),
                ("app", spec.retry.app),
                ("site", spec.retry.site),
            )
        }
        # The same for most queues, so that one copy serves all.
        wanted = (sys.intern(f"{retry} {spec.history} {spec.tasks}"), entry)
        known = dispatcher.queue_named(queue.metadata.key)
        if known is not None and self._registered.get(key) == (dispatcher, wanted):
            return known  # no write where nothing changed
        registered = await dispatcher.threads.ask(
            dispatcher.register_queue,
            entry,
            retry=retry,
            succeeded_seconds=spec.history.succeeded_seconds,
            dead_seconds=spec.history.dead_seconds,
            tasks=spec.tasks,
        )
        self._registered[key] = (dispatcher, wanted)
        self._router.registered(key)
        return registered

    def _depth(
        self, dispatcher: DatabaseDispatcher | None, entry: QueueEntry | None
    ) -> tuple[Depth | None, str]:
        if dispatcher is None or entry is None:
            return None, "the database is not reached"
        age = dispatcher.state.depth_age_seconds()
        if age is None or (dispatcher.state.failures is None and "figures" not in dispatcher.state.errors):
            # Both come in the first moment, and a look between them would write twice; but scaling needs the
            # depth alone.
            return None, "it was not counted yet"
        if age > STALE_DEPTH_SECONDS:
            return None, dispatcher.state.errors.get("depths", f"it was last counted {age:.0f} s ago")
        if entry.queue_id in dispatcher.state.depths_unknown:
            return None, dispatcher.state.depths_unknown[entry.queue_id]
        seen = dispatcher.state.depths.get(entry.queue_id)
        if seen is None:
            return Depth(), ""
        oldest = (
            None
            if seen.oldest_seconds is None
            else (self._now() - timedelta(seconds=seen.oldest_seconds)).replace(microsecond=0)
        )
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
        self,
        queue: WorkQueue,
        seen: DeploymentSeen | None,
        depth: Depth | None,
        troubles: list[Trouble],
        advice: list[Trouble],
    ) -> tuple[DeploymentSeen | None, ScalingDecision]:
        """Deployment as wanted, then its replicas through /scale; workers that are there are scaled even
        where their change is refused.
        """
        decision = decide_replicas(
            queue.spec,
            now=self._now(),
            depth=depth,
            current=seen.spec_replicas if seen else 0,
            busy_workers=None,
            last_active_at=self._active_since(queue),
        )
        if seen is not None and _owner(queue, seen) is Whose.OTHERS:
            seen = None  # its numbers are not this queue's
        changed = await self._try(
            "apply", queue, queue.metadata.generation, troubles, lambda: self._deploy(queue, seen, decision)
        )
        present = changed or seen
        if present is not None:
            replicas = decision.replicas
            advice += (
                await self._try(
                    "scale", queue, replicas, troubles, lambda: self._replicas.scale(queue, present, replicas)
                )
                or []
            )
        return present, decision

    async def _try(
        self,
        step: str,
        queue: WorkQueue,
        version: object,
        troubles: list[Trouble],
        change: Callable[[], Awaitable[T]],
    ) -> T | None:
        """What keeps it from that is a trouble, whatever it is, so that the status is written all the same;
        the next try comes later and later.
        """
        key, name = (step, queue.metadata.key), worker_deployment_name(queue.metadata.name)
        if self._refused.left(key, version) and (known := self._refused.trouble(key)):
            troubles.append(known)
            return None
        known_slow = key in self._under_way or self._refused.trouble(key) is not None
        task = self._under_way.pop(key, None) or asyncio.ensure_future(change())
        try:
            done, _ = await asyncio.wait([task], timeout=AGAIN_SECONDS if known_slow else ANSWER_SECONDS)
        except asyncio.CancelledError:
            task.cancel()
            raise
        # it goes on, and the next look sees what became of it: a webhook that takes its time is no failure
        if not done:
            self._under_way[key] = task
            why = "the API server has not answered yet; an admission webhook may hang"
            troubles.append(trouble(reasons.CHILD_REFUSED, kind="Deployment", name=name, why=why))
            return None
        try:
            result: T = task.result()
        except GiveUp as error:
            found = Trouble(reason=error.reason, message=str(error))
        except RowlockError as error:
            found = trouble(reasons.CHILD_REFUSED, kind="Deployment", name=name, why=error)
        else:
            self._refused.worked(key)
            return result
        troubles.append(self._refused.failed(key, found, version))
        return None

    async def _deploy(
        self, queue: WorkQueue, seen: DeploymentSeen | None, decision: ScalingDecision
    ) -> DeploymentSeen:
        wanted = build_worker_deployment(queue=queue, installation=self._installation)
        if seen is None:
            first = build_first_worker_deployment(
                queue=queue, installation=self._installation, replicas=decision.replicas or 0
            )
            made, created = await self._kube.create_once(DEPLOYMENTS, first)
            if not created:
                owner_of_child(made, queue.metadata)
            return observe_deployment(made)
        if _owner(queue, seen) is not Whose.OURS:
            seen = observe_deployment(await adopt(self._kube, DEPLOYMENTS, seen.name, queue.metadata))
        if seen.spec_hash != wanted["metadata"]["annotations"][SPEC_HASH]:
            return observe_deployment(await self._kube.apply(DEPLOYMENTS, wanted))
        return seen

    async def _drop_workers(self, queue: WorkQueue, seen: DeploymentSeen, advice: list[Trouble]) -> None:
        """Left behind by a WorkQueue of this name in mode Workers: one of mode Jobs has none."""
        if _owner(queue, seen) is not Whose.OTHERS:
            meta, name, uid = queue.metadata, seen.name, seen.uid
            delete = partial(self._kube.delete, DEPLOYMENTS, meta.namespace, name, uid=uid)
            await self._try("drop", queue, uid, advice, delete)

    def _try_again_seconds(self, queue: WorkQueue) -> float:
        """When the first of what was refused may be tried again."""
        steps = [(step, queue.metadata.key) for step in STEPS]
        return min(
            (self._refused.seconds(key) for key in steps if self._refused.trouble(key)),
            default=TROUBLE_SECONDS,
        )

    def _no_worker_for_long(
        self, key: ObjectKey, queue: WorkQueue, deployment: DeploymentSeen | None, depth: Depth | None
    ) -> bool:
        """Whether work waits for a first worker longer than one takes to start. A new leader knows it from
        the status.
        """
        if depth is None:
            return _said_so(queue)
        if (
            not queue.spec.is_workers
            or queue.spec.suspend
            or not depth.load
            or (deployment is not None and deployment.ready)
        ):
            self._first_worker.end(key)
            return False
        return not self._first_worker.left(key) or _said_so(queue)

    async def _explained(self, key: ObjectKey, problems: tuple[PodProblem, ...]) -> tuple[PodProblem, ...]:
        """The first one, which is told, with what Kubernetes says of it in Events only."""
        if not problems or problems[0].involved is None:
            return problems
        said = await self._events.newest(key.namespace, problems[0].involved)
        first = replace(problems[0], message=f"{problems[0].message} ({said})") if said else problems[0]
        return (first, *problems[1:])

    async def _why_not_ready(self, key: ObjectKey, children: QueueChildren) -> str:
        pod = children.unready_worker
        if pod is None:
            return "none was made"
        said = await self._events.newest(key.namespace, Involved(kind="Pod", name=pod.name, uid=pod.uid))
        return f"pod {pod.name}: {said}" if said else f"pod {pod.name}"

    def _active_since(self, queue: WorkQueue) -> datetime | None:
        """As an operator wrote it, maybe another one by another clock: neither before this one began nor in
        the future.
        """
        written, now = queue.status.last_active_time, self._now()
        return None if written is None else min(max(written, self._began), now + ACTIVITY_STEP)

    def _activity(self, queue: WorkQueue, decision: ScalingDecision | None) -> datetime | None:
        """When there last was work for all pods, to some seconds: it moves with every look, and a status is
        not written for that.
        """
        before, now = queue.status.last_active_time, decision.last_active_at if decision else None
        if now is None or (before is not None and abs(now - before) < ACTIVITY_STEP):
            return before
        return now.replace(microsecond=0)

    async def let_go(self, key: ObjectKey) -> None:
        """Another release serves it: nothing of it is claimed here any more, and nothing is written, in the
        ledger either.
        """
        dispatcher = self._dismiss(key)
        if dispatcher is not None:
            dispatcher.state.drop_queue(f"{key.namespace}/{key.name}")
            await self._databases.release(key)

    def _dismiss(self, key: ObjectKey) -> DatabaseDispatcher | None:
        """Forgets what is remembered of it; returns the dispatcher that it was registered with."""
        name = f"{key.namespace}/{key.name}"
        self._registered.pop(key, None)
        self._grace.end(key)
        self._first_worker.end(key)
        for step in STEPS:
            self._refused.worked((step, name))
            if (task := self._under_way.pop((step, name), None)) is not None:
                task.cancel()
        self._replicas.forget(name)
        self._ended_pods.forget(key)
        return self._databases.of(key)

    async def _forget(self, key: ObjectKey) -> None:
        """Children go with their owner (garbage collection); runs stay in the ledger until the WorkQueue
        comes back or they are canceled.
        """
        dispatcher = self._dismiss(key)
        if dispatcher is not None:
            await dispatcher.threads.ask(dispatcher.unregister_queue, f"{key.namespace}/{key.name}")
        await self._databases.release(key)


def _owner(queue: WorkQueue, seen: DeploymentSeen) -> Whose:
    meta = queue.metadata
    return whose(work_queue=meta.name, uid=meta.uid, labelled=seen.work_queue, controller=seen.controller)


def _said_so(queue: WorkQueue) -> bool:
    """Whether its status says already that no worker has become ready."""
    return any(
        each.type == "Ready" and each.reason == reasons.WORKERS_NOT_READY.name
        for each in queue.status.conditions
    )


def _failed(dispatcher: DatabaseDispatcher | None, entry: QueueEntry | None) -> int | None:
    """Runs of the queue that wait for a human; None where they were not counted yet."""
    if dispatcher is None or entry is None or dispatcher.state.failures is None:
        return None
    return dispatcher.state.failures.get(entry.queue_id, 0)
