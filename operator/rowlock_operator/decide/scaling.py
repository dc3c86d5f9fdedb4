"""How many worker pods a queue should have (driver Operator)."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from rowlock_operator.api.work_queue import WorkQueueSpec
from rowlock_operator.observed.queues import Depth


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingDecision:
    """`replicas` None = leave as it is. `last_active_at` goes into the status: the cooldown counts from
    it.
    """

    replicas: int | None
    why: str
    last_active_at: datetime | None
    look_after_seconds: float | None = None


def decide_replicas(
    spec: WorkQueueSpec,
    *,
    now: datetime,
    depth: Depth | None,
    current: int,
    busy_workers: int | None,
    last_active_at: datetime | None,
) -> ScalingDecision:
    """Up at once; down only after the cooldown and never below the busy workers; no change where the depth is
    unknown.
    """
    if spec.suspend:
        return _suspended(depth, current, last_active_at)
    if spec.replicas is not None:
        return ScalingDecision(replicas=spec.replicas, why="spec.replicas", last_active_at=last_active_at)
    if depth is None:
        return ScalingDecision(replicas=None, why="depth unknown", last_active_at=last_active_at)
    wanted = needed_replicas(spec, depth.load)
    if wanted >= current:
        # Enough work for all of them: the cooldown starts again, at the latest instant that is true.
        return ScalingDecision(
            replicas=wanted, why="need", last_active_at=_coarse(now) if wanted else last_active_at
        )
    return _down(
        spec,
        now=now,
        depth=depth,
        current=current,
        wanted=wanted,
        busy=busy_workers,
        last_active_at=last_active_at,
    )


def needed_replicas(spec: WorkQueueSpec, load: int) -> int:
    """ceil(load / targetPerReplica), within min and max: the first run is worth a pod."""
    return max(spec.scaling.min, min(spec.scaling.max, math.ceil(load / spec.scaling.target_per_replica)))


def _down(
    spec: WorkQueueSpec,
    *,
    now: datetime,
    depth: Depth,
    current: int,
    wanted: int,
    busy: int | None,
    last_active_at: datetime | None,
) -> ScalingDecision:
    if current > spec.scaling.max:
        # The user has lowered max: the cooldown is no reason to wait, busy workers are.
        wanted = max(wanted, spec.scaling.max)
    else:
        since = last_active_at or now
        left = since + timedelta(seconds=spec.scaling.cooldown_seconds) - now
        if left > timedelta(0):
            return ScalingDecision(
                replicas=None, why="cooldown", last_active_at=since, look_after_seconds=left.total_seconds()
            )
    # Where nobody knows who is busy, each run in hand may be on a worker of its own.
    held = busy if busy is not None else depth.running
    replicas = max(wanted, min(held, current))
    return ScalingDecision(
        replicas=replicas, why="need" if replicas == wanted else "busy workers", last_active_at=last_active_at
    )


def _coarse(now: datetime) -> datetime:
    """Up to the next ten seconds: the instant goes into the status, which must not be written with every
    look.
    """
    return now + timedelta(seconds=-(now.timestamp() % -10))


def _suspended(depth: Depth | None, current: int, last_active_at: datetime | None) -> ScalingDecision:
    """To nothing, but only once nothing runs: suspending must not interrupt a run."""
    if depth is None or depth.running > 0:
        return ScalingDecision(
            replicas=None,
            why="suspended, runs still finish",
            last_active_at=last_active_at,
            look_after_seconds=5.0,
        )
    return ScalingDecision(replicas=0, why="suspended", last_active_at=last_active_at)
