"""The checks themselves: each finds the damage it is for, and nothing where there is none."""

from dataclasses import replace

import pytest

from tests.chaos.facts import Ended, Facts
from tests.chaos.figures import away_seconds
from tests.chaos.invariants import WORDS, check, few, most_at_once, most_beyond_rate
from tests.chaos.plan import KINDS, Blow, blows
from tests.chaos.striking import Struck
from tests.chaos.tasklog import Line

RUN = Ended("r1", 2, "succeeded", "bills", "7", {"attempt": 2, "pid": 20}, 100.0, 103.0)
LINES = [
    Line(101.0, "r1", 1, 10, "begin", "bills", 7, "hot"),  # killed
    Line(102.0, "r1", 2, 20, "begin", "bills", 7, "hot"),
    Line(102.5, "r1", 2, 20, "end", "bills", 7, "hot"),
]


def facts(run: Ended = RUN, **changes: object) -> Facts:
    whole = Facts(
        ended=[run],
        rows={("bills", 7): ("done" if run.state == "succeeded" else "error", 100.0)},
        kinds={("bills", 7): "transaction"},
        receipts=[("r1", 2)],
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def seen(lines: list[Line], given: Facts) -> set[str]:
    return {violation.what for violation in check(lines, given)}


def test_a_run_that_was_lost_once_and_ended_is_no_violation() -> None:
    assert seen(LINES, facts()) == set()


@pytest.mark.parametrize(
    ("what", "lines", "given"),
    [
        ("row_lost", LINES, facts(ended=[], receipts=[])),
        ("row_run_twice", LINES, facts(ended=[RUN, replace(RUN, run="r1")], receipts=[("r1", 2), ("r1", 2)])),
        ("attempt_begun_twice", [*LINES, replace(LINES[1], pid=30)], facts()),
        ("stale_finish", LINES, facts(replace(RUN, result={"attempt": 1, "pid": 10}))),
        ("stale_finish", LINES, facts(replace(RUN, result={"attempt": 2, "pid": 10}))),
        ("writes_of_another_attempt", LINES, facts(receipts=[("r1", 1), ("r1", 2)])),
        ("writes_of_another_attempt", LINES, facts(receipts=[])),
        (
            "effect_twice",
            [*LINES, replace(LINES[0], what="effect"), replace(LINES[1], what="effect")],
            facts(),
        ),
        ("effect_twice", [replace(LINES[0], at=101.5, what="effect"), *LINES], facts()),
        ("wrong_end", LINES, facts(replace(RUN, state="dead"), receipts=[])),
        ("wrong_end", LINES, facts(replace(RUN, state="unknown"), receipts=[])),
        ("row_not_told", LINES, facts(rows={("bills", 7): ("queued", 100.0)})),
        ("left_over", LINES, facts(rests={"runners": 1})),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damage_is_found(what: str, lines: list[Line], given: Facts) -> None:
    assert what in seen(lines, given)
    assert what in WORDS


EXPORT = replace(RUN, source="exports", attempt=1, result={"attempt": 1, "pid": 10})
EXPORTED = [replace(line, attempt=1, pid=10, source="exports") for line in LINES[1:]]
AGAIN = replace(EXPORTED[0], at=110.0, pid=11)


def exports(run: Ended = EXPORT, **changes: object) -> Facts:
    place = ("exports", 7)
    return facts(run, rows={place: ("done", 100.0)}, kinds={place: "plain"}, receipts=[], **changes)


def test_without_a_fence_an_attempt_may_begin_again_only_where_the_api_server_forgot_that_it_had_begun() -> (
    None
):
    twice = [*EXPORTED, AGAIN]
    assert seen(twice, exports()) == {"attempt_begun_twice"}
    assert seen(twice, exports(forgotten=[(101.0, 105.0)])) == set()
    assert seen(twice, exports(forgotten=[(103.0, 105.0)])) == {"attempt_begun_twice"}
    assert seen([*twice, replace(AGAIN, at=111.0)], exports(forgotten=[(101.0, 105.0)])) == {
        "attempt_begun_twice"
    }
    fenced = [replace(line, source="bills") for line in twice]
    assert seen(fenced, replace(exports(), forgotten=[(101.0, 105.0)])) == {"attempt_begun_twice"}


def test_a_success_whose_last_words_are_lost_must_have_come_to_its_end() -> None:
    assert seen(EXPORTED, exports(replace(EXPORT, result={}))) == set()
    assert seen(EXPORTED[:1], exports(replace(EXPORT, result={}))) == {"stale_finish"}
    assert seen(LINES, facts(replace(RUN, result={}))) == {"stale_finish"}


def test_a_limit_of_two_is_exceeded_by_three_at_once() -> None:
    lines, runs = [], []
    for n in range(3):
        lines += [
            Line(at, f"r{n}", 1, n, what, "bills", n, "hot")
            for at, what in ((100.0 + n, "begin"), (110.0, "end"))
        ]
        runs.append(Ended(f"r{n}", 1, "succeeded", "bills", str(n), {"attempt": 1, "pid": n}, 99.0, 111.0))
    rows = {("bills", n): ("done", 99.0) for n in range(3)}
    given = Facts(ended=runs, rows=rows, kinds=dict.fromkeys(rows, "plain"))
    assert seen(lines, given) == {"limit_exceeded"}
    assert seen(lines[:4], replace(given, ended=runs[:2], rows=dict(list(rows.items())[:2]))) == set()


def test_spans_that_touch_do_not_overlap() -> None:
    assert most_at_once([(1.0, 2.0), (2.0, 3.0), (2.5, 4.0)]) == 2


def test_starts_beyond_a_rate_are_counted_over_the_worst_stretch_of_time() -> None:
    assert most_beyond_rate([0.0, 10.0, 10.0, 10.0, 20.0], rate=1.0) == 3.0
    assert most_beyond_rate([], rate=1.0) == 0.0


def test_few_examples_of_each_kind_are_shown_and_the_rest_counted() -> None:
    violations = check([], facts(ended=[], rows={("bills", n): ("new", 0.0) for n in range(10)}, receipts=[]))
    assert [violation.detail for violation in few(violations)][-1] == "and 7 more"


def test_a_seed_deals_the_same_blows_again_and_no_kind_is_missing_in_a_deck() -> None:
    deck = sum(cards for cards, _ in KINDS.values())
    first, again = (list(zip(range(deck), blows(7, jobs=True), strict=False)) for _ in range(2))
    assert first == again
    assert {blow.kind for _, blow in first} == set(KINDS)
    assert first != list(zip(range(deck), blows(8, jobs=True), strict=False))


def test_time_in_which_a_store_is_away_is_added_to_what_a_recovery_may_take_and_nothing_else_is() -> None:
    def struck(kind: str, at: float, seconds: float) -> Struck:
        return Struck(Blow(at, kind, 0.0, seconds), at, "x")

    blows = [struck("stop_postgres", 10, 25), struck("stop_redis", 60, 20), struck("freeze_worker", 0, 15)]
    assert away_seconds(blows, 10, 50) == 25 + 20, "the second began within what the first had added"
    assert away_seconds(blows, 30, 50) == 5
    assert away_seconds(blows, 81, 121) == 0
    assert away_seconds(blows, 0, 9) == 0
