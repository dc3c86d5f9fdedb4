"""What a person's word changes at a MonitoringProcess, and whether the operator has followed it. Pure."""

from dataclasses import dataclass
from typing import Any

ENDED = ("stopped", "completed", "failed")
_TRANSIENT = ("DatabaseUnreachable", "RedisUnreachable", "DepthUnknown")
"""Reasons after which the operator goes on by itself within seconds."""


@dataclass(frozen=True)
class Step:
    """Where it is: over (`well` says how) or not yet; `sentence` continues the process's name."""

    over: bool
    well: bool
    sentence: str


def start_changes(process: dict[str, Any], request: str) -> dict[str, Any]:
    """What of the spec has to change so that it starts; {} where it runs, or is about to."""
    spec, phase = process["spec"], _phase(process)
    changes: dict[str, Any] = {} if spec.get("state", "Running") == "Running" else {"state": "Running"}
    if phase in ENDED:
        # Also where `state` changes: the operator may not have seen it Stopped.
        changes["startRequest"] = request
    return changes


def stop_changes(process: dict[str, Any]) -> dict[str, Any]:
    """What of the spec has to change so that it ends; {} where that was said already."""
    return {} if process["spec"].get("state", "Running") == "Stopped" else {"state": "Stopped"}


def has_started(process: dict[str, Any], generation: int) -> Step:
    """Whether it runs as of that generation of its spec."""
    if not _seen(process, generation):
        return Step(False, False, "waits for the operator to look at it")
    phase, ready = _phase(process), _condition(process, "Ready")
    if phase == "running":
        return Step(True, True, "runs")
    if ready.get("status") == "False" and ready.get("reason") not in _TRANSIENT:
        again = "" if phase == "failed" else " It starts once that is mended."
        return Step(True, False, f"does not run: {_said(ready)}{again}")
    if phase in ENDED:
        return Step(False, False, f"is {phase} still")
    return Step(
        False,
        False,
        f"is {phase or 'not taken yet'}: {_said(ready) if ready else 'the operator has not said why'}",
    )


def has_stopped(process: dict[str, Any], generation: int) -> Step:
    """Whether it has ended as of that generation of its spec."""
    phase, ready = _phase(process), _condition(process, "Ready")
    if not _seen(process, generation):
        return Step(False, False, "waits for the operator to look at it")
    if ready.get("reason") in _TRANSIENT and phase not in ENDED:
        return Step(False, False, f"is {phase or 'not taken yet'}: {_said(ready)}")
    if phase == "running" or _condition(process, "Progressing").get("status") == "True":
        return Step(False, False, f"is {phase} still")
    return Step(True, True, f"has ended ({phase})" if phase in ENDED else "does not run, and did not")


def _phase(process: dict[str, Any]) -> str:
    return str((process.get("status") or {}).get("phase") or "")


def _seen(process: dict[str, Any], generation: int) -> bool:
    return int((process.get("status") or {}).get("observedGeneration") or 0) >= generation


def _condition(process: dict[str, Any], kind: str) -> dict[str, Any]:
    conditions = (process.get("status") or {}).get("conditions") or []
    return next((dict(one) for one in conditions if one.get("type") == kind), {})


def _said(condition: dict[str, Any]) -> str:
    return f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
