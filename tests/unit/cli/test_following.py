"""What start and stop change, and when the operator has followed: pure."""

from typing import Any

import pytest

from rowlock_cli.commands.process.progress import has_started, has_stopped, start_changes, stop_changes


def process(
    phase: str | None,
    *,
    state: str = "Running",
    seen: int = 2,
    ready: str = "True",
    reason: str = "",
    progressing: str = "False",
) -> dict[str, Any]:
    conditions = [
        {"type": "Ready", "status": ready, "reason": reason or "Running", "message": "a sentence."},
        {"type": "Progressing", "status": progressing, "reason": "Stable"},
    ]
    return {
        "spec": {"state": state},
        "status": {"phase": phase, "observedGeneration": seen, "conditions": conditions},
    }


@pytest.mark.parametrize(
    ("phase", "state", "expected"),
    [
        ("running", "Running", {}),
        ("created", "Running", {}),
        (None, "Running", {}),
        ("created", "Stopped", {"state": "Running"}),
        ("running", "Stopped", {"state": "Running"}),
        ("stopped", "Stopped", {"state": "Running", "startRequest": "now"}),
        ("completed", "Running", {"startRequest": "now"}),
        ("failed", "Running", {"startRequest": "now"}),
    ],
)
def test_a_start_changes_only_what_is_needed(phase: str | None, state: str, expected: dict[str, str]) -> None:
    assert start_changes(process(phase, state=state), "now") == expected


def test_a_stop_is_said_once() -> None:
    assert stop_changes(process("running")) == {"state": "Stopped"}
    assert stop_changes(process("stopped", state="Stopped")) == {}
    assert stop_changes({"spec": {}}) == {"state": "Stopped"}, "Running is the default"


@pytest.mark.parametrize(
    ("seen", "over", "well"),
    [
        (process("running"), True, True),
        (process("running", seen=1), False, False),
        (process("created"), False, False),
        (process("completed"), False, False),
        (process("failed", ready="False", reason="NeedsReauth"), True, False),
        (process("created", ready="False", reason="TooManyRunning"), True, False),
        (process("created", ready="False", reason="DatabaseUnreachable"), False, False),
        ({"spec": {}}, False, False),
    ],
    ids=["runs", "not looked at", "starting", "old end", "failed", "refused", "database away", "no status"],
)
def test_a_start_is_over_once_it_runs_or_cannot(seen: dict[str, Any], over: bool, well: bool) -> None:
    step = has_started(seen, 2)
    assert (step.over, step.well) == (over, well)


@pytest.mark.parametrize(
    ("seen", "over"),
    [
        (process("stopped", state="Stopped"), True),
        (process("completed", state="Stopped"), True),
        (process("created", state="Stopped"), True),
        (process("created", state="Stopped", progressing="True"), False),
        (process("running", state="Stopped"), False),
        (process("stopped", state="Stopped", seen=1), False),
        (process("created", ready="False", reason="DatabaseUnreachable"), False),
    ],
    ids=["stopped", "had ended", "never began", "starting", "runs", "not looked at", "database away"],
)
def test_a_stop_is_over_once_nothing_runs(seen: dict[str, Any], over: bool) -> None:
    assert has_stopped(seen, 2).over is over


def test_what_hinders_is_said_with_reason_and_sentence() -> None:
    said = has_started(process("created", ready="False", reason="TooManyRunning"), 2).sentence
    assert said == "does not run: TooManyRunning: a sentence. It starts once that is mended."
