"""What `rowlock why` says: pure."""

from dataclasses import replace

import pytest

from rowlock_client.explain.run import explain_run
from rowlock_client.runs import STATES
from tests.unit.cli.facts import AROUND, LINE, NOW, RUN, ago, facts

TIMEOUT = {"class": "app", "reason": "SoftTimeLimit", "message": "took too long."}


def said(*arguments: object, **named: object) -> str:
    return "\n".join(explain_run(facts(*arguments, **named)))  # type: ignore[arg-type]


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_explained_by_more_than_its_name_also_to_a_login_that_sees_little(state: str) -> None:
    little = explain_run(facts({"state": state, "started_at": ago(5), "finished_at": ago(1)}, around=None))
    assert little[0] == f"Run {RUN.id}: task process_document in demo/documents, attempt 1, is {state}."
    assert len(little) >= 2


def test_a_run_of_a_source_is_named_by_its_row() -> None:
    assert explain_run(facts({"source": "demo/orders", "source_key": "17"}))[0].startswith(
        f"Run {RUN.id} of demo/orders for the row 17: task"
    )
    assert explain_run(facts({"source_key": "17"}))[0].startswith(f"Run {RUN.id} with the key 17: task")


def test_the_way_to_the_start_is_told_in_order() -> None:
    waiting = replace(LINE, ahead_in_line=1000, ahead_by_priority=1, other_lines=3)
    text = said({"fairness_key": "ada"}, waiting=waiting)
    assert "1,000 or more runs are ahead of it in the line of ada." in text
    assert "1 run is of a higher priority than 0 and goes first." in text
    assert "3 other lines take turns with it at the same priority." in text
    assert "The queue has 2 claimed and 4 running" in text


@pytest.mark.parametrize(
    ("why", "told"),
    [("changed", "no longer said"), ("gone", "was not there"), ("newer", "had been taken again")],
)
def test_a_row_that_was_left_alone_is_told_with_its_cause(why: str, told: str) -> None:
    ended = {"state": "succeeded", "started_at": ago(5), "finished_at": ago(1)}
    assert f"The row's status was left alone: it {told}" in said(
        ended, around=replace(AROUND, left_alone=why)
    )
    assert "left alone" not in said(ended)


def test_a_rate_limit_tells_its_rate_and_the_next_look() -> None:
    waiting = replace(LINE, limit_name="api:9", rate=0.5, burst=2.0, wake_at=ago(-7))
    assert (
        "held back by the limit api:9: 0.5 starts a second are allowed (burst 2), the next look is in 7s."
        in said(waiting=waiting)
    )


def test_a_suspended_queue_comes_before_everything_else() -> None:
    sentences = explain_run(facts(around=replace(AROUND, suspended=True), waiting=LINE))
    assert sentences[1].startswith("The queue is suspended")
    assert not any("new ones are claimed" in sentence for sentence in sentences)


def test_a_first_start_in_the_future_is_no_retry() -> None:
    assert "It is not due before 2026-03-01 12:01:30 UTC (in 90s)." in said({"due": ago(-90)})
    assert "It waits for its retry until 2026-03-01 12:01:30 UTC (in 90s)." in said(
        {"due": ago(-90), "failure": TIMEOUT, "app_tries": 1}
    )


def test_a_dead_run_tells_class_budget_and_remedy() -> None:
    text = said({"state": "dead", "failure": TIMEOUT, "app_tries": 4, "finished_at": ago(60)})
    assert "It failed for good 60s ago: SoftTimeLimit: took too long." in text
    assert "class app (the task itself); failures so far: app 4 (3 retries allowed)." in text
    assert f"`rowlock requeue {RUN.id}`" in text


def test_a_running_run_whose_worker_is_silent_or_gone_says_what_happens_next() -> None:
    silent = replace(AROUND, runner=7, runner_name="pod-1", lease_until=ago(4), runner_dead=False)
    assert "The worker pod-1 has not renewed its lease for 4s" in said({"state": "running"}, around=silent)
    assert "Its worker is gone" in said({"state": "running"})


def test_a_run_of_kubernetes_itself_is_shown_by_its_kube_job() -> None:
    kube = replace(AROUND, runner=0, runner_name="kubernetes", runner_dead=False)
    assert f"`kubectl -n demo get jobs,pods -l rowlock.dev/run={RUN.id}`" in said(
        {"state": "running", "started_at": NOW}, around=kube
    )


def test_a_queued_run_without_any_worker_alive_points_at_the_pods() -> None:
    assert "No worker of any queue holds a lease now" in said(
        {"state": "queued"}, around=replace(AROUND, runners_alive=0)
    )


def test_a_begun_effect_and_a_wish_to_end_are_told() -> None:
    text = said({"state": "running", "effect": "post comment 17", "cancel_requested": True})
    assert "has begun an effect outside (post comment 17)" in text
    assert "It was asked to end" in text
