"""When `tools.tilt.ready` calls an object ready, and what it says until then."""

from typing import Any

import pytest

from tools.tilt.ready import Standing, Watcher, standing

NAME = "workqueues/documents"


def found(*, generation: int = 2, observed: int | None = 2, status: str | None = "True") -> dict[str, Any]:
    conditions = (
        []
        if status is None
        else [{"type": "Ready", "status": status, "reason": "Ready", "message": "Work is accepted."}]
    )
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": observed, "conditions": conditions},
    }


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(None, Standing(False, f"{NAME} is not there yet"), id="not there"),
        pytest.param(
            {"metadata": {"generation": 1}},
            Standing(False, f"the operator has not looked at {NAME} yet"),
            id="without a status",
        ),
        pytest.param(
            found(observed=1),
            Standing(False, f"the operator has not looked at {NAME} yet"),
            id="ready, but for an older spec",
        ),
        pytest.param(
            found(status=None), Standing(False, f"{NAME} has no Ready condition"), id="without the condition"
        ),
        pytest.param(
            found(status="False"), Standing(False, f"{NAME}: Ready: Work is accepted."), id="not ready"
        ),
        pytest.param(
            found(status="Unknown"), Standing(False, f"{NAME}: Ready: Work is accepted."), id="unknown"
        ),
        pytest.param(found(), Standing(True, f"{NAME}: Ready: Work is accepted."), id="ready"),
    ],
)
def test_only_the_ready_condition_about_the_present_spec_counts(
    seen: dict[str, Any] | None, expected: Standing
) -> None:
    assert standing(NAME, seen) == expected


def test_all_must_be_ready_and_each_change_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    objects: dict[str, dict[str, Any] | None] = {
        "workqueues/documents": found(),
        "rowsources/documents": None,
    }
    watcher = Watcher(objects, objects.get)
    assert [watcher.all_ready(), watcher.all_ready()] == [False, False]
    assert watcher.missing() == "rowsources/documents is not there yet"
    objects["rowsources/documents"] = found()
    assert watcher.all_ready() is True
    assert len(capsys.readouterr().err.splitlines()) == 3
