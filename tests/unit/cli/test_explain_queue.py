"""What `rowlock why queue` says: pure."""

from dataclasses import replace
from typing import Any

import pytest

from rowlock_client.explain.work_queue import HoldingLimit, explain_queue
from tests.unit.cli.facts import QUEUE, ago


def said(**changes: Any) -> list[str]:
    return explain_queue(replace(QUEUE, **changes))


def test_an_empty_queue_and_one_that_only_runs_are_told_apart() -> None:
    assert said()[1:] == ["It is empty: nothing waits and nothing runs."]
    assert said(running=2)[1] == "Nothing waits, so there is nothing to start."


def test_the_strongest_reason_comes_first() -> None:
    sentences = said(suspended=True, operator_seconds=None, waiting=3, oldest_due=ago(5), oldest_id="x")
    assert sentences[1].startswith("It is suspended")
    assert sentences[2].startswith("No operator speaks to this database: nothing is claimed")


@pytest.mark.parametrize(
    ("changes", "silent"),
    [
        ({"operator_seconds": 14.0}, False),
        ({"operator_seconds": 16.0}, True),
        ({"operator_seconds": None}, True),
        ({"operator_seconds": None, "operator_visible": False}, False),
    ],
    ids=["spoke 14 s ago", "spoke 16 s ago", "no session", "this login would not see the session"],
)
def test_the_operator_is_called_silent_only_where_it_would_be_heard(
    changes: dict[str, Any], silent: bool
) -> None:
    assert any(sentence.startswith("No operator speaks") for sentence in said(**changes)) == silent


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"not_due": 3, "retrying": 3},
            (
                "All of the waiting ones wait for their retry: the first is due at 2026-03-01 12:01:30 UTC"
                " (in 90s)."
            ),
        ),
        (
            {"not_due": 3, "retrying": 1, "oldest_due": ago(9)},
            (
                "3 of the waiting ones wait for their time (1 for a retry): the first is due at 2026-03-01"
                " 12:01:30 UTC (in 90s)."
            ),
        ),
        (
            {"not_due": 1, "retrying": 1, "oldest_due": ago(9)},
            "1 of the waiting ones waits for its retry, which is 2026-03-01 12:01:30 UTC (in 90s).",
        ),
    ],
    ids=["all are retries", "some, for both reasons", "a single one"],
)
def test_runs_that_wait_for_their_time_are_counted_apart(changes: dict[str, Any], expected: str) -> None:
    assert expected in said(waiting=5, next_due=ago(-90), **changes)


def test_each_limit_is_named_with_its_values_and_the_rest_is_counted() -> None:
    limit = HoldingLimit(
        name="api:9", runs=4, max_running=None, running=0, rate=0.5, burst=2.0, wake_at=ago(-7)
    )
    sentences = said(waiting=6, blocked=6, limits=(limit,))
    assert (
        "The limit api:9 holds back 4 runs: 0.5 starts a second are allowed (burst 2), the next look is"
        " in 7s." in sentences
    )
    assert "Other limits hold back 2 more." in sentences


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"runners_alive": 0, "runners_of_queue": 0},
            "and no worker of any queue holds a lease: `kubectl -n demo get workqueue,pods",
        ),
        (
            {"runners_alive": 3, "runners_of_queue": 0},
            "and no worker of this queue's Deployment holds a lease: `kubectl",
        ),
        (
            {"runners_alive": 3, "runners_of_queue": 2},
            "2 wait in Redis (the oldest for 8s) for one of its 2 workers.",
        ),
        (
            {"mode": "Jobs"},
            (
                "2 wait for the pod of their Kubernetes Job (the oldest for 8s): `kubectl -n demo get"
                " workqueue,pods"
            ),
        ),
    ],
    ids=["no worker at all", "workers of others only", "busy workers", "kube jobs"],
)
def test_claimed_runs_tell_whom_they_wait_for(changes: dict[str, Any], expected: str) -> None:
    assert expected in "\n".join(said(claimed=2, claimed_since=ago(8), **changes))


def test_the_pace_the_oldest_and_the_dead_close_the_answer() -> None:
    sentences = said(
        waiting=9, ready=9, oldest_due=ago(30), oldest_id="abc", succeeded_lately=4, failed_lately=1, dead=2
    )
    assert sentences[-3:] == [
        "It moves: 5 runs ended in the last minute, 1 of them badly.",
        "The oldest due run waits for 30s: `rowlock why abc`.",
        "2 runs wait for a person (dead or unknown): `rowlock dead-letters --queue demo/documents`.",
    ]
    assert "No run of it ended in the last minute." in said(waiting=1)
