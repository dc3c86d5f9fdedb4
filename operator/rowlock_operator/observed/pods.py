"""What we keep of a pod: enough to tell why it does not run and how it ended."""

from dataclasses import dataclass
from datetime import datetime

from rowlock_operator.observed.reading import Manifest, condition, instant


@dataclass(frozen=True, kw_only=True, slots=True)
class Termination:
    """How the container ended."""

    exit_code: int
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PodSeen:
    """One pod; the container is our only one."""

    name: str
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    ready: bool = False
    deleting: bool = False
    restarts: int = 0
    unschedulable: str | None = None
    disruption: str | None = None
    disruption_message: str = ""
    waiting_reason: str = ""
    waiting_message: str = ""
    running_since: datetime | None = None
    terminated: Termination | None = None
    last_terminated: Termination | None = None

    @property
    def started_at(self) -> datetime | None:
        """When the container's process began; None while it never did."""
        ended = self.terminated or self.last_terminated
        return self.running_since or (ended.started_at if ended else None)


def observe_pod(manifest: Manifest) -> PodSeen:
    """A pod as the API server sends it."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    container: Manifest = next(iter(status.get("containerStatuses") or ()), {})
    state, before = container.get("state") or {}, container.get("lastState") or {}
    waiting = state.get("waiting") or {}
    disruption = condition(manifest, "DisruptionTarget") or {}
    return PodSeen(
        name=metadata["name"],
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        ready=condition(manifest, "Ready") is not None,
        deleting=bool(metadata.get("deletionTimestamp")),
        restarts=container.get("restartCount", 0),
        unschedulable=_unschedulable(status),
        disruption=disruption.get("reason"),
        disruption_message=disruption.get("message", ""),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        running_since=instant((state.get("running") or {}).get("startedAt")),
        terminated=_termination(state.get("terminated")),
        last_terminated=_termination(before.get("terminated")),
    )


def _unschedulable(status: Manifest) -> str | None:
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            return str(one.get("message") or one.get("reason") or "no node fits")
    return None


def _termination(ended: Manifest | None) -> Termination | None:
    if not ended:
        return None
    return Termination(
        exit_code=ended.get("exitCode", -1),
        reason=ended.get("reason", ""),
        message=ended.get("message", ""),
        started_at=instant(ended.get("startedAt")),
        finished_at=instant(ended.get("finishedAt")),
    )
