"""The status of a RowSource."""

from typing import Any

from rowlock_operator.api import reasons
from rowlock_operator.api.reasons import Reason
from rowlock_operator.api.row_source import RowSource
from rowlock_operator.observed.queues import SourceObservation
from rowlock_operator.status.conditions import Verdict, fold_conditions, timestamp
from rowlock_operator.status.counters import display, without_absent


def fold_row_source_status(source: RowSource, seen: SourceObservation) -> dict[str, Any]:
    """The whole status. Unknown numbers keep their last value."""
    before = source.status
    generation = source.metadata.generation
    claimed_at = seen.last_claim_at or before.last_claim_time
    return without_absent(
        {
            "observedGeneration": generation,
            "conditions": fold_conditions(
                _verdicts(source, seen), before=before.conditions, generation=generation, now=seen.now
            ),
            "pending": before.pending if seen.pending is None else seen.pending,
            "pendingDisplay": before.pending_display
            if seen.pending is None
            else display(seen.pending, seen.pending_cap),
            "running": before.running if seen.running is None else seen.running,
            "done": before.done if seen.done is None else seen.done,
            "failed": before.failed if seen.failed is None else seen.failed,
            "throttled": before.throttled if seen.throttled is None else seen.throttled,
            "leftAlone": before.left_alone if seen.left_alone is None else seen.left_alone,
            # To the minute, so that a busy source does not write its status with every claim.
            "lastClaimTime": timestamp(claimed_at.replace(second=0, microsecond=0)) if claimed_at else None,
        }
    )


def _verdicts(source: RowSource, seen: SourceObservation) -> list[Verdict]:
    return [_ready(source, seen), _suspended(source, seen), _throttled(source, seen), _degraded(seen)]


def _ready(source: RowSource, seen: SourceObservation) -> Verdict:
    if seen.troubles:
        return Verdict(
            type="Ready", status="False", reason=seen.troubles[0].reason, message=seen.troubles[0].message
        )
    if source.spec.suspend:
        return _said("Ready", reasons.SUSPENDED, status="False")
    if seen.queue_suspended:
        return _said("Ready", reasons.QUEUE_SUSPENDED, status="False", queue=source.spec.work_queue_ref.name)
    if seen.pending is None:
        return _said(
            "Ready", reasons.DEPTH_UNKNOWN, status="Unknown", why="the table has not been counted yet"
        )
    return _said("Ready", reasons.READY, status="True")


def _suspended(source: RowSource, seen: SourceObservation) -> Verdict:
    if source.spec.suspend:
        return _said("Suspended", reasons.SUSPENDED, status="True")
    if seen.queue_suspended:
        return _said(
            "Suspended", reasons.QUEUE_SUSPENDED, status="True", queue=source.spec.work_queue_ref.name
        )
    return _said("Suspended", reasons.NOT_SUSPENDED, status="False")


def _throttled(source: RowSource, seen: SourceObservation) -> Verdict:
    throttled = source.status.throttled if seen.throttled is None else seen.throttled
    if throttled:
        return _said("Throttled", reasons.THROTTLED, status="True", count=display(throttled))
    return _said("Throttled", reasons.NOT_THROTTLED, status="False")


def _degraded(seen: SourceObservation) -> Verdict:
    """A trouble, or advice such as a missing index: it works, and could work better."""
    for found in (*seen.troubles, *seen.advice):
        return Verdict(type="Degraded", status="True", reason=found.reason, message=found.message)
    return _said("Degraded", reasons.HEALTHY, status="False")


def _said(kind: Any, reason: Reason, *, status: Any, **gaps: object) -> Verdict:
    return Verdict(type=kind, status=status, reason=reason.name, message=reason.says(**gaps))
