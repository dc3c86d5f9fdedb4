"""Tables, ages and JSON: pure."""

import json

import pytest

from rowlock_cli.terminal.json_text import runs_json
from rowlock_cli.terminal.tables import dead_letters_table, remark, runs_table, table
from rowlock_client.text import age, progress_text
from tests.unit.cli.facts import NOW, RUN, ago, run


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "0s"),
        (0.9, "0s"),
        (119, "119s"),
        (120, "2m0s"),
        (599, "9m59s"),
        (600, "10m"),
        (3600, "1h"),
        (3660, "1h1m"),
        (36_060, "10h"),
        (172_800, "2d"),
    ],
)
def test_ages_have_at_most_two_units(seconds: float, expected: str) -> None:
    assert age(seconds) == expected


def test_columns_are_aligned_and_no_cell_breaks_its_line_or_reaches_the_terminal() -> None:
    text = table(["A", "B"], [["long cell", "x"], ["s", "two\nlines \x1b[31mred"]])
    assert text == "A           B\nlong cell   x\ns           two lines  [31mred"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"due": ago(-12)}, "due in 12s"),
        ({"due": ago(-12), "failure": {"reason": "TooManyRequests"}}, "retry in 12s after TooManyRequests"),
        ({"due": ago(12)}, ""),
        ({"state": "running", "progress": {"done": 3, "total": 10, "note": "page 3"}}, "3/10 page 3"),
        ({"state": "running", "progress": {"done": 3}, "cancel_requested": True}, "cancel requested"),
        ({"state": "dead", "failure": {"reason": "NotPdf", "message": "no\nPDF"}}, "NotPdf: no PDF"),
        ({"state": "dead", "failure": None}, ""),
    ],
)
def test_the_remark_is_the_one_thing_worth_knowing(changes: dict[str, object], expected: str) -> None:
    assert remark(run(**changes), NOW) == expected


def test_long_messages_are_cut_in_tables_and_whole_in_json() -> None:
    dead = run(state="dead", failure={"reason": "X", "message": "m" * 500}, finished_at=ago(30), app_tries=4)
    line = dead_letters_table([dead], NOW).splitlines()[1]
    assert line.endswith("m...")
    assert "app 4" in line
    assert json.loads(runs_json([dead]))[0]["failure"]["message"] == "m" * 500


def test_a_list_shows_short_ids_and_the_row_of_a_source() -> None:
    line = runs_table([run(source="demo/orders", source_key="17")], NOW).splitlines()[1]
    assert line.split() == [
        RUN.id[:18],
        "demo/documents",
        "process_document",
        "pending",
        "1",
        "90s",
        "demo/orders",
        "17",
    ]


def test_progress_of_a_strange_shape_is_no_error() -> None:
    shapes: list[object] = [None, [], {}, {"done": 0, "total": 0}, {"note": "x"}]
    assert [progress_text(value) for value in shapes] == ["", "", "", "0/0", "x"]
