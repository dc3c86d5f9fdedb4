"""The status of a MonitoringProcess."""

from datetime import datetime
from typing import Any

from rowlock_operator.api import reasons
from rowlock_operator.api.monitoring_process import MonitoringProcess
from rowlock_operator.api.reasons import Reason
from rowlock_operator.observed.monitoring import ProcessObservation, ProcessRow
from rowlock_operator.status.conditions import Verdict, fold_conditions, timestamp
from rowlock_operator.status.counters import settled, without_absent

# Rows whose comment text exists, whatever became of it; `failed` ones may or may not have one.
_WRITTEN = ("generated", "posting", "posted", "unknown")
_PHASES: dict[str, Reason] = {
    "Starting": reasons.PROCESS_STARTING,
    "Started": reasons.PROCESS_RUNNING,
    "Stopped": reasons.PROCESS_STOPPED,
    "DurationReached": reasons.DURATION_REACHED,
}


def fold_monitoring_process_status(process: MonitoringProcess, seen: ProcessObservation) -> dict[str, Any]:
    """The whole status. What the database did not tell keeps its last value."""
    before, row, generation = process.status, seen.row, process.metadata.generation
    base: dict[str, Any] = before.model_dump(
        by_alias=True, mode="json", exclude={"conditions", "observed_generation"}
    )
    if row is not None:
        base |= _figures(row) | {
            "nextDiscoveryTime": settled(row.next_discovery_at, before.next_discovery_time),
            "lastError": row.last_error[:1024] if row.last_error else None,
        }
    if seen.acted_on_state is not None:
        base |= {"lastState": seen.acted_on_state, "lastStartRequest": seen.acted_on_request or ""}
    conditions = fold_conditions(
        _verdicts(process, seen), before=before.conditions, generation=generation, now=seen.now
    )
    return without_absent({"observedGeneration": generation, "conditions": conditions, **base})


def _figures(row: ProcessRow) -> dict[str, Any]:
    count = row.counts
    comments = sum(n for status, n in count.items() if status != "deleted")
    reason = _PHASES.get(row.reason)
    return {
        "phase": row.status,
        "reason": row.reason or ("Created" if row.status == "created" else row.status.capitalize()),
        "message": row.message or (reason.says() if reason else None),
        "startedAt": _instant(row.started_at),
        "endsAt": _instant(row.ends_at) if row.status == "running" else None,
        "stoppedAt": _instant(row.stopped_at),
        "progress": f"{count.get('posted', 0)}/{comments}",
        "articles": row.articles,
        "comments": comments,
        "generated": sum(count.get(status, 0) for status in _WRITTEN),
        "waiting": row.waiting,
        "approved": row.approved,
        "posted": count.get("posted", 0),
        "failed": count.get("failed", 0),
        "unknown": count.get("unknown", 0),
        "active": row.active,
        "perMinute": f"{row.per_minute:.1f}",
    }


def _instant(instant: datetime | None) -> str | None:
    return timestamp(instant) if instant else None


def _verdicts(process: MonitoringProcess, seen: ProcessObservation) -> list[Verdict]:
    return [_ready(process, seen), _progressing(seen), _degraded(seen), _needs_reauth(seen)]


def _ready(process: MonitoringProcess, seen: ProcessObservation) -> Verdict:
    """Does it do, or could it do, what the user asks for?"""
    row = seen.row
    if seen.troubles:
        return Verdict(
            type="Ready", status="False", reason=seen.troubles[0].reason, message=seen.troubles[0].message
        )
    if row is None:
        return _said("Ready", reasons.DEPTH_UNKNOWN, status="Unknown", why="the database has not told yet")
    if row.status == "failed":
        return Verdict(
            type="Ready",
            status="False",
            reason=row.reason or "Failed",
            message=row.message or reasons.PROCESS_FAILED.says(),
        )
    if row.status == "running":
        return _said("Ready", reasons.PROCESS_RUNNING, status="True")
    if row.requested_at is not None:
        return _said("Ready", reasons.PROCESS_STARTING, status="True")
    if row.status == "completed":
        return _said("Ready", reasons.DURATION_REACHED, status="True")
    return _said("Ready", reasons.PROCESS_STOPPED, status="True")


def _progressing(seen: ProcessObservation) -> Verdict:
    if seen.row is not None and seen.row.alive:
        reason = reasons.PROCESS_RUNNING if seen.row.status == "running" else reasons.PROCESS_STARTING
        return _said("Progressing", reason, status="True")
    return _said("Progressing", reasons.STABLE, status="False")


def _degraded(seen: ProcessObservation) -> Verdict:
    """It works or worked, and something needs a person."""
    row = seen.row
    if seen.troubles:
        return Verdict(
            type="Degraded", status="True", reason=seen.troubles[0].reason, message=seen.troubles[0].message
        )
    if row is not None and row.counts.get("unknown"):
        return _said("Degraded", reasons.COMMENTS_UNKNOWN, status="True")
    if row is not None and row.last_error and row.alive:
        reason, _, message = row.last_error.partition(": ")
        if reason.isalnum() and reason[:1].isupper() and message:
            return Verdict(type="Degraded", status="True", reason=reason[:100], message=message)
        return _said("Degraded", reasons.PROCESS_FAILED, status="True")
    if row is not None and row.counts.get("failed"):
        return _said("Degraded", reasons.COMMENTS_FAILED, status="True")
    return _said("Degraded", reasons.HEALTHY, status="False")


def _needs_reauth(seen: ProcessObservation) -> Verdict:
    if seen.row is not None and seen.row.needs_reauth:
        return _said(
            "NeedsReauth", reasons.NEEDS_REAUTH, status="True", logins=", ".join(seen.row.needs_reauth)
        )
    return _said("NeedsReauth", reasons.LOGINS_WORK, status="False")


def _said(kind: Any, reason: Reason, *, status: Any, **gaps: object) -> Verdict:
    return Verdict(type=kind, status=status, reason=reason.name, message=reason.says(**gaps))
