"""docs/troubleshooting.md knows every reason that asks somebody to do something, and no reason that is not
said.
"""

import re
from pathlib import Path

from rowlock_operator import errors
from rowlock_operator.api import reasons

TEXT = (Path(__file__).parents[3] / "docs" / "troubleshooting.md").read_text()
OPERATOR = Path(errors.__file__).parent
# States, not troubles.
CALM = {
    "Ready",
    "Idle",
    "Starting",
    "ProcessStarting",
    "NotSuspended",
    "RollingOut",
    "ScalingUp",
    "ScalingDown",
    "Draining",
    "Stable",
    "Throttled",
    "AtParallelism",
    "NotThrottled",
    "Healthy",
    "Running",
    "LoginsWork",
}


def test_every_reason_that_asks_for_something_is_explained() -> None:
    assert [
        reason.name for reason in reasons.ALL if reason.name not in CALM and f"`{reason.name}`" not in TEXT
    ] == []


def test_every_reason_that_is_explained_is_one_of_the_list() -> None:
    explained = {
        word
        for row in re.findall(r"^\| (`[A-Z][A-Za-z`, ]+`) \|", TEXT, re.MULTILINE)
        for word in re.findall(r"`(\w+)`", row)
    }
    assert explained
    assert explained <= {reason.name for reason in reasons.ALL}


def test_every_reason_of_the_list_is_said_somewhere() -> None:
    """A constant that nobody uses is a sentence that nobody reads."""
    code = "".join(path.read_text() for path in OPERATOR.rglob("*.py") if path.name != "reasons.py")
    constants = [name for name, value in vars(reasons).items() if isinstance(value, reasons.Reason)]
    said_elsewhere = {"INVALID_SPEC"}  # errors.InvalidSpec cannot import it
    assert [
        name for name in constants if not re.search(rf"\b{name}\b", code) and name not in said_elsewhere
    ] == []
    assert errors.InvalidSpec("spec.table", "why").reason == reasons.INVALID_SPEC.name
    assert str(errors.InvalidSpec("spec.table", "why")) == reasons.INVALID_SPEC.says(
        field="spec.table", why="why"
    )


def test_no_reason_is_worded_beside_the_list() -> None:
    literal = re.compile(r"(?:GiveUp|Trouble)\([^()]*\"([A-Z][a-z]+[A-Za-z]+)\"\)", re.DOTALL)
    beside = {
        word: path.name
        for path in OPERATOR.rglob("*.py")
        for word in literal.findall(path.read_text())
        if word != "NoCredentials"  # ends the operator: no condition can tell it
    }
    assert beside == {}
