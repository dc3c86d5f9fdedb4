"""The code map is the code: every room is on it, with the words of its door."""

import ast
import re
from pathlib import Path

import pytest

from tests.unit.docs.pages import ROOT, page

ARCHITECTURE = page("ARCHITECTURE.md").text
PACKAGES = (
    "ledger/rowlock_ledger",
    "ledger/rowlock_logs",
    "operator/rowlock_operator",
    "operator/rowlock_cli",
    "operator/rowlock_client",
    "jobimages/rowlock_jobs",
    "jobimages/rowlock_web",
    "jobimages/rowlock_llm",
)
DOORS = [
    door
    for package in PACKAGES
    for door in [ROOT / package / "__init__.py", *sorted((ROOT / package).rglob("*/__init__.py"))]
    if door != ROOT / "operator/rowlock_operator/__init__.py"  # its one line is the page's first paragraph
]


def invariants(door: Path) -> list[str]:
    text = ast.get_docstring(ast.parse(door.read_text())) or ""
    found = re.findall(r"^Invariant: (.*?)(?=\n\n|\nInvariant: |\Z)", text, re.MULTILINE | re.DOTALL)
    return [" ".join(each.split()) for each in found]


def name(door: Path) -> str:
    return str(door.parent.relative_to(ROOT))


@pytest.mark.parametrize("door", [pytest.param(door, id=name(door)) for door in DOORS])
def test_every_room_is_on_the_map_with_its_invariants(door: Path) -> None:
    assert invariants(door)
    assert [line for line in invariants(door) if f"**Invariant:** {line}" not in ARCHITECTURE] == []


def test_the_map_holds_no_invariant_that_no_door_has() -> None:
    known = {line for door in DOORS for line in invariants(door)}
    told = re.findall(r"\*\*Invariant:\*\* (.*?)(?: \||$)", ARCHITECTURE, re.MULTILINE)
    assert len(told) >= len(known)
    assert [line for line in told if line not in known] == []


def test_the_first_room_that_is_missing_would_be_seen(tmp_path: Path) -> None:
    door = tmp_path / "__init__.py"
    door.write_text('"""A room.\n\nInvariant: nothing like this is on the map.\n"""\n')
    assert [line for line in invariants(door) if f"**Invariant:** {line}" not in ARCHITECTURE] == [
        "nothing like this is on the map."
    ]
