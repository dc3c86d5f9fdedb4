"""What health, info, monitor and the questions say, and how words are read: pure."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowlock_cli.commands.info import describe
from rowlock_cli.commands.monitor import _Lines, plain, view
from rowlock_cli.commands.runs.clear import nothing, would
from rowlock_cli.confirm import check_asking
from rowlock_cli.terminal.param_types import Since, States, flat, parse_seconds
from rowlock_client.health import Vitals, judge
from rowlock_client.runs import first_id_since
from tests.unit.cli.facts import VERSIONS, VITALS


def level(vitals: Vitals, about: str, *, max_dead: int | None = None) -> str:
    return next(f.level for f in judge(vitals, max_wait_seconds=60, max_dead=max_dead) if f.about == about)


def test_a_healthy_installation_has_no_problem() -> None:
    assert {f.level for f in judge(VITALS, max_wait_seconds=60, max_dead=0)} == {"ok", "note"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"operator_seconds": 14.0}, "ok"),
        ({"operator_seconds": 16.0}, "problem"),
        ({"operator_seconds": None}, "problem"),
        ({"operator_seconds": None, "operator_visible": False}, "ok"),
        ({"operator_seconds": None, "operator_visible": False, "runners_alive": 0}, "note"),
        ({"lapsed_seconds": 14.0}, "ok"),
        ({"lapsed_seconds": 16.0}, "problem"),
        ({"lapsed_seconds": 16.0, "operator_visible": False}, "problem"),
        ({"runners_alive": None}, "note"),
    ],
    ids=[
        "spoke lately",
        "is silent",
        "has no session",
        "unseen, but workers renew",
        "unseen, and no worker",
        "a lease lapsed just now",
        "a lapsed lease lies there",
        "a lapsed lease lies there, unseen",
        "the view alone",
    ],
)
def test_an_operator_leads_or_not(changes: dict[str, Any], expected: str) -> None:
    assert level(replace(VITALS, **changes), "operator") == expected


def test_late_runs_dead_ones_and_a_missing_tomorrow_are_problems_past_their_thresholds() -> None:
    assert level(replace(VITALS, oldest=("id", "demo/q", 60.0)), "waiting") == "ok"
    assert level(replace(VITALS, oldest=("id", "demo/q", 61.0)), "waiting") == "problem"
    assert [level(replace(VITALS, dead=2), "dead letters", max_dead=most) for most in (None, 2, 1)] == [
        "note",
        "note",
        "problem",
    ]
    assert [level(replace(VITALS, days_ahead=days), "history") for days in (0, 1)] == ["problem", "ok"]


def test_an_older_ledger_is_a_problem_and_a_newer_one_is_not() -> None:
    older, newer = (
        replace(VERSIONS, applied=("0001_a",), missing=("0002_b",)),
        replace(VERSIONS, applied=("0001_a", "0002_b", "0003_c"), newer=("0003_c",)),
    )
    assert level(replace(VITALS, versions=older), "ledger") == "problem"
    assert level(replace(VITALS, versions=newer), "ledger") == "note"
    assert "it has 0001_a and lacks 0002_b" in "\n".join(describe(older, 1))
    assert "1 worker holds a lease now." in describe(older, 1)


TICK: dict[str, Any] = {
    "at": "2026-03-01T12:00:01.5+00:00",
    "runners_alive": 2,
    "queues": [
        {
            "queue": "demo/q",
            "mode": None,
            "suspended": True,
            "waiting": 5,
            "ready": None,
            "blocked": None,
            "claimed": 1,
            "running": 2,
            "oldest_seconds": 130.0,
            "succeeded_per_second": 3.25,
            "failed_per_second": 0.1,
            "dead": 7,
        }
    ],
}


def test_a_look_is_a_table_with_sums_or_a_line_that_is_complete_in_itself() -> None:
    head, _, _, line = view(TICK).splitlines()
    assert head == "12:00:01Z   5 waiting, 1 claimed, 2 running; 3.2 done a second; 2 workers alive"
    assert line.split() == ["demo/q", "(suspended)", "5", "?", "1", "2", "2m10s", "3.2", "0.1", "7"]
    assert plain(TICK) == [
        "12:00:01Z demo/q suspended waiting 5 blocked ? claimed 1 running 2 oldest 2m10s done/s 3.2 failed/s"
        " 0.1 dead 7"
    ]


def test_a_look_that_failed_says_so() -> None:
    assert plain({"error": "the database does not answer"}) == ["Error: the database does not answer"]
    assert view({"error": "the database does not answer"}).splitlines()[0] == "the database does not answer"


@given(st.lists(st.dictionaries(st.text(), st.text())), st.data())
def test_lines_come_out_whole_however_the_stream_is_cut(
    ticks: list[dict[str, str]], data: st.DataObject
) -> None:
    stream = "".join(json.dumps(tick, ensure_ascii=False) + "\n" for tick in ticks).encode()
    told: list[object] = []
    lines = _Lines(told.append)
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        lines.add(stream[:size])
        stream = stream[size:]
    assert told == ticks


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1.5h", 5400),
        (" 1H ", 3600),
    ],
)
def test_durations_carry_their_units(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "-1d", "d", "1y", "1 hour", "1..5h", "١h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        parse_seconds(text)


def test_a_moment_needs_its_time_zone() -> None:
    assert Since().convert("2026-03-01T12:00:00Z", None, None) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    for text in ("2026-03-01T12:00:00", "yesterday"):
        with pytest.raises(click.BadParameter):
            Since().convert(text, None, None)


def test_states_are_taken_with_commas_or_one_by_one_each_once() -> None:
    assert flat((States().convert("dead,unknown", None, None), States().convert("dead", None, None))) == (
        "dead",
        "unknown",
    )
    with pytest.raises(click.BadParameter, match="'asleep' is not one of"):
        States().convert("dead,asleep", None, None)


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds are naive here
def test_the_first_id_of_a_moment_is_below_every_id_of_it(moment: datetime) -> None:
    made_then = f"{int(moment.timestamp() * 1000):012x}7".ljust(32, "0")
    assert first_id_since(moment) <= made_then
    assert len(first_id_since(moment)) == 32


def test_a_question_says_how_many_and_whether_it_can_be_taken_back() -> None:
    facts: dict[str, Any] = {
        "verb": "delete",
        "queue": "demo/q",
        "what": "dead or unknown",
        "age": " older than 7d",
        "count": 1204,
    }
    assert (
        would(facts)
        == "1,204 dead or unknown runs of demo/q older than 7d would be deleted with their arguments and"
        " results; deleted runs cannot be requeued."
    )
    assert (
        would({**facts, "verb": "cancel", "what": "waiting", "age": "", "count": 1})
        == "1 waiting run of demo/q would be canceled; canceled runs can be requeued."
    )
    assert (
        nothing({**facts, "count": 0})
        == "demo/q has no dead or unknown run older than 7d: nothing to delete."
    )


@pytest.mark.parametrize(
    "named",
    [{"yes": True, "dry_run": True, "output": "table"}, {"yes": False, "dry_run": False, "output": "json"}],
)
def test_what_could_not_be_answered_is_wrong_usage(named: dict[str, Any]) -> None:
    with pytest.raises(click.UsageError):
        check_asking(**named)
