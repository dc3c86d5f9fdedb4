"""Conditions, told from one look to the next."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rowlock_operator.api.meta import Condition, ConditionStatus, ConditionType

MESSAGE_CHARACTERS = 2000
ORDER: tuple[ConditionType, ...] = (
    "Ready",
    "Progressing",
    "Suspended",
    "Throttled",
    "Degraded",
    "NeedsReauth",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What to say of one condition now."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str = ""


def fold_conditions(
    verdicts: list[Verdict], *, before: list[Condition], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions as the status holds them, in a fixed order; lastTransitionTime is kept while the status
    is the same.
    """
    known = {condition.type: condition for condition in before}
    return [
        _condition(verdict, known.get(verdict.type), generation, now)
        for verdict in sorted(verdicts, key=lambda v: ORDER.index(v.type))
    ]


def _condition(verdict: Verdict, before: Condition | None, generation: int, now: datetime) -> dict[str, Any]:
    kept = before is not None and before.status == verdict.status
    return {
        "type": verdict.type,
        "status": verdict.status,
        "reason": verdict.reason,
        "message": verdict.message[:MESSAGE_CHARACTERS],
        "lastTransitionTime": timestamp(before.last_transition_time if before is not None and kept else now),
        "observedGeneration": generation,
    }


def timestamp(instant: datetime) -> str:
    """As Kubernetes writes it: UTC, whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
