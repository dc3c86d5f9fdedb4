"""What the outbox has for a row becomes one word; what a table refuses is tried again a few at a time."""

import pytest

from rowlock_operator.errors import GiveUp
from rowlock_operator.rows import refused as refused_rows
from rowlock_operator.rows.outcomes import Outcome, words
from rowlock_operator.rows.refused import Refused

VALUES = {"claimed": "queued", "succeeded": "done", "dead": "failed", "unknown": "lost", "canceled": "failed"}
NO = GiveUp("no", "RowRefused")


def line(id_: int, state: str, *, key: str = "7", run: str = "a", attempt: int = 1) -> Outcome:
    return Outcome(id_, key, state, "why" if state == "dead" else None, run, attempt)


@pytest.mark.parametrize(
    ("lines", "value", "requeued"),
    [
        ([line(1, "succeeded")], "done", False),
        ([line(1, "dead")], "failed", False),
        ([line(1, "dead"), line(2, "claimed", attempt=2)], "queued", True),
        ([line(2, "claimed", attempt=2), line(1, "dead")], "queued", True),
        ([line(2, "claimed", attempt=2), line(3, "succeeded", attempt=2)], "done", True),
        ([line(1, "dead"), line(2, "claimed", attempt=2), line(3, "unknown", attempt=2)], "lost", True),
        ([line(1, "succeeded"), line(5, "dead", run="b")], "failed", False),
    ],
)
def test_the_newest_outcome_of_a_row_is_its_word(lines: list[Outcome], value: str, requeued: bool) -> None:
    newest = max(lines, key=lambda each: each.id)
    word = words([*lines, line(9, "succeeded", key="8")], VALUES)["7"]
    assert (word.value, word.requeued, word.run, word.attempt, word.error) == (
        value,
        requeued,
        newest.run,
        newest.attempt,
        newest.error,
    )
    assert word.ids == tuple(sorted(each.id for each in lines))


@pytest.mark.parametrize(
    ("state", "status", "follows"),
    [
        ("succeeded", "queued", True),
        ("succeeded", "failed", False),  # the task said so itself
        ("succeeded", "done", False),
        ("dead", "new", False),
        ("succeeded", None, False),
        ("claimed", "failed", True),
        ("claimed", "done", True),
        ("claimed", "on hold", False),
        ("claimed", None, False),
    ],
)
def test_a_word_follows_its_own_mark_and_a_requeue_any_value_of_ours(
    state: str, status: str | None, follows: bool
) -> None:
    (word,) = words([line(1, state)], VALUES).values()
    assert word.may_follow(status, "queued", set(VALUES.values())) is follows


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_refused_rows_are_tried_again_a_few_at_a_time_and_all_once_some_pass() -> None:
    clock = Clock()
    refused = Refused(clock)
    for key in range(100):
        refused.add(str(key), "no", NO)
    clock.now += 6
    assert len(refused.keys()) == 100, "while new ones are found, none is tried again"
    refused.passed(0, exhausted=True)
    assert len(refused.keys()) == 95, "five may be taken again"
    for key in set(refused.reasons()) - set(refused.keys()):
        refused.add(key, "still no", NO)
    assert len(refused.keys()) == 100
    clock.now += 2
    assert len(refused.keys()) == 95, "the next five"
    refused.passed(5, exhausted=True)
    assert len(refused.reasons()) == 95
    assert len(refused.keys()) == 75, "what passed makes room for four times as many"


def test_a_row_that_is_refused_again_waits_longer_up_to_a_minute() -> None:
    clock = Clock()
    refused = Refused(clock)
    waits = []
    for _ in range(6):
        refused.add("7", "no", NO)
        refused.passed(0, exhausted=True)
        began = clock.now
        while refused.keys():
            clock.now += 1
        waits.append(round(clock.now - began))
    assert waits == [5, 10, 20, 40, 60, 60]


def test_only_many_rows_in_a_row_without_one_that_passes_are_the_sources_trouble() -> None:
    refused = Refused(Clock())
    for key in range(refused_rows.DOUBTFUL):
        refused.add(str(key), "no", NO)
    assert refused.trouble is None
    refused.passed(1, exhausted=False)
    for key in range(100, 100 + refused_rows.DOUBTFUL):
        refused.add(str(key), "no", NO)
    assert refused.trouble is None
    refused.add("x", "no", NO)
    assert refused.trouble is NO
    refused.passed(1, exhausted=False)
    assert refused.trouble is None


def test_marks_none_of_which_took_are_the_sources_trouble_at_once_unless_others_have_passed() -> None:
    refused = Refused(Clock())
    refused.add("7", "no", NO, all_of_them=True)
    assert refused.trouble is NO
    refused.passed(3, exhausted=True)
    refused.add("8", "no", NO, all_of_them=True)
    assert refused.trouble is None
