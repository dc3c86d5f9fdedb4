"""The status of a WorkQueue."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from rowlock_operator.api import reasons
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.observed.queues import QueueObservation
from rowlock_operator.status.conditions import Verdict, fold_conditions, timestamp
from rowlock_operator.status.counters import display, settled, without_absent
from rowlock_operator.status.pod_problems import verdict_on_ended_pods, verdict_on_pods


def fold_work_queue_status(
    queue: WorkQueue,
    seen: QueueObservation,
    *,
    wanted_replicas: int | None = None,
    last_active_at: datetime | None = None,
    selector: str = "",
) -> dict[str, Any]:
    """The whole status; the keywords only in mode Workers (`wanted_replicas` None = no change). Unknown
    numbers keep their last value.
    """
    before, depth, deployment = queue.status, seen.depth, seen.deployment
    workers = queue.spec.is_workers
    backlog = before.backlog if depth is None else depth.due
    wanted = (
        wanted_replicas if wanted_replicas is not None else (deployment.spec_replicas if deployment else None)
    )
    return without_absent(
        {
            "observedGeneration": queue.metadata.generation,
            "conditions": fold_conditions(
                _verdicts(queue, seen, wanted),
                before=before.conditions,
                generation=queue.metadata.generation,
                now=seen.now,
            ),
            "replicas": (deployment.replicas if deployment else 0) if workers else None,
            "readyReplicas": (deployment.ready if deployment else 0) if workers else None,
            "updatedReplicas": (deployment.updated if deployment else 0) if workers else None,
            "desiredReplicas": wanted if workers else None,
            "selector": selector or None,
            "kubeJobs": None if workers else (before.kube_jobs if seen.kube_jobs is None else seen.kube_jobs),
            "backlog": backlog,
            "backlogDisplay": None if backlog is None else display(backlog),
            "running": before.running if depth is None else depth.running,
            "oldestSince": settled(depth.oldest_since, before.oldest_since)
            if depth
            else _kept(before.oldest_since),
            "failed": before.failed if seen.failed is None else seen.failed,
            "lastActiveTime": timestamp(last_active_at) if last_active_at else None,
        }
    )


def _kept(instant: datetime | None) -> str | None:
    return timestamp(instant) if instant else None


def _verdicts(queue: WorkQueue, seen: QueueObservation, wanted: int | None) -> list[Verdict]:
    suspended = queue.spec.suspend
    reason = reasons.SUSPENDED if suspended else reasons.NOT_SUSPENDED
    return [
        _ready(queue, seen),
        _progressing(queue, seen, wanted),
        Verdict(
            type="Suspended",
            status="True" if suspended else "False",
            reason=reason.name,
            message=reason.says(),
        ),
        _throttled(queue, seen),
        _degraded(seen),
    ]


def _ready(queue: WorkQueue, seen: QueueObservation) -> Verdict:
    """Would a run that comes now be run? The first reason against it, most telling first."""
    if seen.troubles:
        return Verdict(
            type="Ready", status="False", reason=seen.troubles[0].reason, message=seen.troubles[0].message
        )
    if seen.depth is None:
        return Verdict(
            type="Ready",
            status="Unknown",
            reason=reasons.DEPTH_UNKNOWN.name,
            message=reasons.DEPTH_UNKNOWN.says(why=seen.depth_problem or "the ledger has not answered yet"),
        )
    if queue.spec.suspend:
        return Verdict(
            type="Ready", status="False", reason=reasons.SUSPENDED.name, message=reasons.SUSPENDED.says()
        )
    pods = verdict_on_pods(seen)
    # that pod's run waits, others start elsewhere
    lost = pods is not None and pods.reason == reasons.NODE_LOST.name
    # pods in trouble beside those that work
    some_run = seen.deployment.ready if seen.deployment else seen.running_pods
    if pods is not None and not lost and not some_run:
        return Verdict(type="Ready", status="False", reason=pods.reason, message=pods.message)
    if seen.no_worker_for_long:
        return _workers_not_ready(seen, Verdict(type="Ready", status="False", reason="", message=""))
    return _working(queue, seen)


def _workers_not_ready(seen: QueueObservation, verdict: Verdict) -> Verdict:
    why = f" ({seen.not_ready_because})" if seen.not_ready_because else ""
    return replace(
        verdict, reason=reasons.WORKERS_NOT_READY.name, message=reasons.WORKERS_NOT_READY.says(why=why)
    )


def _working(queue: WorkQueue, seen: QueueObservation) -> Verdict:
    """It would. No numbers that move with every run: the status would be written with every run."""
    load = seen.depth.load if seen.depth else 0
    no_worker = queue.spec.is_workers and not (seen.deployment and seen.deployment.ready)
    reason = reasons.READY
    if no_worker:
        reason = reasons.STARTING if load else reasons.IDLE
    return Verdict(type="Ready", status="True", reason=reason.name, message=reason.says())


def _progressing(queue: WorkQueue, seen: QueueObservation, wanted: int | None) -> Verdict:
    deployment, depth = seen.deployment, seen.depth
    if queue.spec.suspend and depth is not None and depth.running:
        return Verdict(
            type="Progressing",
            status="True",
            reason=reasons.DRAINING.name,
            message=reasons.DRAINING.says(running=depth.running),
        )
    if deployment is not None and wanted is not None and wanted != deployment.spec_replicas:
        reason = reasons.SCALING_UP if wanted > deployment.spec_replicas else reasons.SCALING_DOWN
        message = reason.says(current=deployment.spec_replicas, wanted=wanted)
        return Verdict(type="Progressing", status="True", reason=reason.name, message=message)
    if (
        deployment is not None and deployment.updated > deployment.spec_replicas
    ):  # those that end: none of another template
        message = reasons.SCALING_DOWN.says(current=deployment.replicas, wanted=deployment.spec_replicas)
        return Verdict(type="Progressing", status="True", reason=reasons.SCALING_DOWN.name, message=message)
    if deployment is not None and not deployment.rolled_out:
        message = reasons.ROLLING_OUT.says(updated=deployment.updated, replicas=deployment.spec_replicas)
        return Verdict(type="Progressing", status="True", reason=reasons.ROLLING_OUT.name, message=message)
    return Verdict(
        type="Progressing", status="False", reason=reasons.STABLE.name, message=reasons.STABLE.says()
    )


def _throttled(queue: WorkQueue, seen: QueueObservation) -> Verdict:
    depth = seen.depth
    if depth is not None and depth.blocked:
        return Verdict(
            type="Throttled",
            status="True",
            reason=reasons.THROTTLED.name,
            message=reasons.THROTTLED.says(count=display(depth.blocked)),
        )
    if seen.held_kube_jobs:
        held = seen.held_kube_jobs
        message = reasons.HELD_BY_OTHERS.says(count=len(held), why=min(held))
        return Verdict(type="Throttled", status="True", reason=reasons.HELD_BY_OTHERS.name, message=message)
    if seen.at_write_bound is not None:
        return Verdict(
            type="Throttled",
            status="True",
            reason=seen.at_write_bound.reason,
            message=seen.at_write_bound.message,
        )
    if (
        not queue.spec.is_workers
        and depth is not None
        and depth.due
        and (seen.kube_jobs or 0) >= queue.spec.parallelism
    ):
        message = reasons.AT_PARALLELISM.says(count=queue.spec.parallelism, backlog=display(depth.due))
        return Verdict(type="Throttled", status="True", reason=reasons.AT_PARALLELISM.name, message=message)
    return Verdict(
        type="Throttled",
        status="False",
        reason=reasons.NOT_THROTTLED.name,
        message=reasons.NOT_THROTTLED.says(),
    )


def _degraded(seen: QueueObservation) -> Verdict:
    """Something needs a human, though work may go on."""
    for found in (*seen.troubles, *seen.advice):
        return Verdict(type="Degraded", status="True", reason=found.reason, message=found.message)
    pods = verdict_on_pods(seen)
    if pods is not None:
        return pods
    if seen.no_worker_for_long:
        return _workers_not_ready(seen, Verdict(type="Degraded", status="True", reason="", message=""))
    ended = verdict_on_ended_pods(seen)
    if ended is not None:
        return ended
    if seen.left_over is not None:
        return Verdict(
            type="Degraded", status="True", reason=seen.left_over.reason, message=seen.left_over.message
        )
    if seen.failed:
        message = reasons.DEAD_LETTERS.says(count=seen.failed)
        return Verdict(type="Degraded", status="True", reason=reasons.DEAD_LETTERS.name, message=message)
    return Verdict(
        type="Degraded", status="False", reason=reasons.HEALTHY.name, message=reasons.HEALTHY.says()
    )
