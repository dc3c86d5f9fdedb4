"""docs/logs.md is the catalogue of log events: each that is logged is in it with its values, and no other."""

import ast
import re
import subprocess
from collections import defaultdict

import pytest

from rowlock_jobs import logs
from tests.unit.docs.pages import ROOT, page

CATALOGUE = page("docs/logs.md")
METHODS = {"debug", "info", "warning", "error", "exception"}
CONSTANTS = {name: value for name, value in vars(logs).items() if name.isupper() and isinstance(value, str)}
COMPOSED = {"run_finished", "run_stale"}  # their values are put together before the call
Events = dict[str, set[str]]


def documented(heading: str) -> Events:
    """Event -> names of its values."""
    return {
        cells[0].strip("`"): set(re.findall(r"`([^`]+)`", cells[2])) for cells in CATALOGUE.table(heading)
    }


def calls(*folders: str) -> list[tuple[str, ast.Call]]:
    files = subprocess.check_output(["git", "ls-files", *folders], cwd=ROOT, text=True).split()
    return [
        (file, node)
        for file in files
        if file.endswith(".py")
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]


def keys(of: ast.expr) -> set[str]:
    """Names of a dict that is written down, what stands in it under `rowlock` included."""
    assert isinstance(of, ast.Dict), ast.unparse(of)
    inner = [
        value
        for key, value in zip(of.keys, of.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "rowlock"
    ]
    return keys(inner[0]) if inner else {key.value for key in of.keys if isinstance(key, ast.Constant)}


def logged_by_records(*folders: str) -> Events:
    """Events that go through a module's own logger."""
    found: Events = defaultdict(set)
    for file, call in calls(*folders):
        assert isinstance(call.func, ast.Attribute)
        if call.func.attr in METHODS and ast.unparse(call.func.value) in {"log", "_log"}:
            event = call.args[0]
            assert isinstance(event, ast.Constant), f"{file} logs something that is no constant"
            found[event.value] |= {
                name for each in call.keywords if each.arg == "extra" for name in keys(each.value)
            }
    return found


def emitted() -> Events:
    """Events of the worker."""
    found: Events = defaultdict(set)
    for _, call in calls("jobimages"):
        if ast.unparse(call.func) == "logs.emit":
            names = re.findall(r"\blogs\.([A-Z_]+)\b", ast.unparse(call.args[0]))
            for name in names:
                found[CONSTANTS[name]] |= {each.arg for each in call.keywords if each.arg}
    return found


def test_the_operators_events_are_the_documented_ones() -> None:
    """Names that people search and alert for do not change unseen."""
    assert logged_by_records("operator") == documented("## Operator")


def test_the_workers_events_are_the_documented_ones() -> None:
    told, logged = documented("## Worker"), emitted() | logged_by_records("jobimages")
    assert told.keys() == logged.keys() | COMPOSED
    assert {name: told[name] for name in told.keys() - COMPOSED} == {
        name: logged[name] for name in logged.keys() - COMPOSED
    }
    assert all(logged[name] <= told[name] for name in COMPOSED)


def test_every_event_of_the_worker_is_logged_somewhere() -> None:
    files = subprocess.check_output(["git", "ls-files", "jobimages"], cwd=ROOT, text=True).split()
    text = "\n".join((ROOT / file).read_text() for file in files if file.endswith(".py"))
    assert [name for name in CONSTANTS if not re.search(rf"\blogs\.{name}\b", text)] == []


@pytest.mark.parametrize("heading", ["## Operator", "## Worker"])
def test_every_event_says_its_meaning_and_its_level(heading: str) -> None:
    for event, level, _, meaning in CATALOGUE.table(heading):
        assert set(level.split(", ")) <= METHODS, event
        assert meaning, event
