"""Which failures of a duty are told: not a hiccup, also not every other call that works."""

from rowlock_operator.dispatch.failing import (
    EFFECTS,
    LASTING_SECONDS,
    LOCK,
    QUIET_SECONDS,
    Failing,
    trouble_of_duty,
)
from rowlock_operator.errors import GiveUp, RetryLater
from rowlock_operator.telemetry.metrics import DUTIES


class Clock:
    at = 100.0

    def __call__(self) -> float:
        return self.at


def told(events: str) -> list[bool]:
    """x fails, o works, each a second after the other; whether it is told after each."""
    clock = Clock()
    failing, found = Failing(now=clock), []
    for event in events:
        if event == "x":
            failing.met("sweeper", GiveUp("odd", "QueryRefused"))
        else:
            failing.worked("sweeper")
        found.append("sweeper" in failing.lasting())
        clock.at += 1
    return found


def test_a_hiccup_is_told_to_nobody() -> None:
    assert (LASTING_SECONDS, QUIET_SECONDS) == (5.0, 6.0)
    assert not any(told("xooooooooooooo"))
    assert not any(told("xxxoooooooooxxxooooooooo"))


def test_what_lasts_is_told_until_it_has_been_quiet() -> None:
    assert told("xxxxxxxxx") == [False] * 5 + [True] * 4
    assert told("xxxxxx" + "o" * 8)[-3:] == [True, False, False]


def test_a_duty_that_fails_every_other_time_has_not_recovered() -> None:
    assert told("xoxoxoxoxoxo")[6:] == [True] * 6


def test_a_database_that_is_away_keeps_its_reason_and_the_rest_says_what_is_not_done() -> None:
    assert trouble_of_duty("scribe", RetryLater("refused")).reason == "DatabaseUnreachable"
    for error in (GiveUp("odd", "QueryRefused"), ValueError(""), KeyError("x")):
        said = trouble_of_duty("scribe", error)
        assert said.reason == "DutyFailing"
        assert "outcomes are not written into status columns" in said.message
    assert trouble_of_duty("new one", ValueError("x")).message.startswith(
        "The new one of this database fails, so its work is not done: x."
    )


def test_the_metric_knows_every_duty() -> None:
    assert {*EFFECTS, LOCK, "watch"} == set(DUTIES)
