"""Files of named statements: what is read, and what is refused while a module is imported."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowlock_jobs.work.monitoring.store import STATEMENTS
from rowlock_ledger.statements import StatementsInvalid, load_statements, parse_statements
from tests.unit.docs.pages import ROOT

TWO = """-- What both are for.

-- name: first
-- Its purpose,
-- in two lines.
select 1
  -- why this
  from things;

-- name: second
select '-- no comment' as text
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the name `shop_of_statements`, to be filled."""
    folder = tmp_path / "shop_of_statements"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    sys.modules.pop("shop_of_statements", None)
    load_statements.cache_clear()


def test_a_file_holds_several_statements_without_their_comments_and_last_semicolons(package: Path) -> None:
    (package / "two.sql").write_text(TWO)
    assert load_statements("shop_of_statements", "two.sql") == {
        "first": "select 1\n  from things",
        "second": "select '-- no comment' as text",
    }


def test_several_files_are_one_set_of_names(package: Path) -> None:
    (package / "two.sql").write_text(TWO)
    (package / "third.sql").write_text("-- name: third\nselect 3")
    found = load_statements("shop_of_statements", "two.sql", "third.sql")
    assert list(found) == ["first", "second", "third"]


def test_a_name_twice_is_refused_also_in_two_files(package: Path) -> None:
    (package / "twice.sql").write_text(TWO + TWO)
    (package / "two.sql").write_text(TWO)
    (package / "again.sql").write_text("-- name: second\nselect 3")
    with pytest.raises(StatementsInvalid, match=r"twice\.sql: there is another statement 'first'"):
        load_statements("shop_of_statements", "twice.sql")
    with pytest.raises(StatementsInvalid, match=r"again\.sql: there is another statement 'second'"):
        load_statements("shop_of_statements", "two.sql", "again.sql")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("-- Only a comment\nselect 1", "no line says", id="no names"),
        pytest.param("", "no line says", id="nothing at all"),
        pytest.param("select 0;\n" + TWO, "before the first name", id="a statement without a name"),
        pytest.param("-- name: empty\n-- Its purpose.\n", "'empty' has no statement", id="a name alone"),
        pytest.param("-- name:\nselect 1", "'' is no name", id="a name that is empty"),
        pytest.param(
            "-- name: Two words\nselect 1", "'Two words' is no name", id="a name that is a sentence"
        ),
    ],
)
def test_what_is_no_file_of_statements_is_refused_by_name(text: str, told: str) -> None:
    with pytest.raises(StatementsInvalid, match=f"runs.sql: .*{told}"):
        parse_statements(text, "runs.sql")


def test_what_was_loaded_cannot_be_changed(package: Path) -> None:
    (package / "two.sql").write_text(TWO)
    with pytest.raises(TypeError):
        load_statements("shop_of_statements", "two.sql")["first"] = "select 2"  # type: ignore[index]


NAMED = [
    file
    for folder in ("ledger", "operator", "jobimages")
    for file in sorted((ROOT / folder).rglob("*.sql"))
    if re.search(r"^-- name:", file.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("file", [pytest.param(file, id=str(file.relative_to(ROOT))) for file in NAMED])
def test_every_file_of_named_statements_can_be_loaded(file: Path) -> None:
    names = [name for name, _ in parse_statements(file.read_text(), file.name)]
    assert sorted(set(names)) == sorted(names)


def spoken_names(package: Path) -> tuple[set[str], set[str]]:
    """(texts of the code, texts that an f-string of it begins with)."""
    texts, beginnings = set(), set()
    for module in package.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                beginnings.add(str(node.values[0].value))
    return texts, beginnings


@pytest.mark.parametrize("file", [pytest.param(file, id=str(file.relative_to(ROOT))) for file in NAMED])
def test_no_statement_is_there_that_the_code_does_not_name(file: Path) -> None:
    package = next(folder for folder in file.parents if folder.name.startswith("rowlock_"))
    texts, beginnings = spoken_names(package)
    for name, _ in parse_statements(file.read_text(), file.name):
        assert name in texts or any(len(each) > 3 and name.startswith(each) for each in beginnings), name


def test_every_statement_that_the_tasks_of_monitoring_ask_for_is_there() -> None:
    """They ask by name; a name that nothing has would be told only when a task comes to it."""
    asked = {
        call.args[at].value
        for module in (ROOT / "jobimages/rowlock_jobs/work/monitoring").rglob("*.py")
        for call in ast.walk(ast.parse(module.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        for at in [{"ask": 1, "execute": 1, "_records": 2}.get(call.func.id, 99)]
        if len(call.args) > at and isinstance(call.args[at], ast.Constant)
    }
    assert len(asked) > 30, "the pattern finds them"
    assert asked <= set(STATEMENTS)
