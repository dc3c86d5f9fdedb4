"""What the platform does to a run uses no try: it waits longer each time, and is never dead of it."""

import json
from typing import Any

import pytest

from tests.integration.ledger.ledger_client import LedgerClient

pytestmark = pytest.mark.integration

DISRUPTIONS = (
    "Evicted",
    "Preempted",
    "NodeLost",
    "NodeShutdown",
    "Terminated",
    "Disrupted",
    "PodDeleted",
    "JobSuspended",
)
WITHOUT_A_CAUSE = ("OutOfMemory", "Killed", "PodLost", "RunnerLost", "KubeJobGone", "PodFailed")
TRIES = "infra_tries, app_tries, site_tries"


def failed(ledger: LedgerClient, run: str, attempt: int, reason: str, **more: Any) -> str | None:
    """The verdict over one more attempt."""
    ledger.make_due()
    assert ledger.claim() == [run]
    assert ledger.start(run, attempt)
    return ledger.finish(run, attempt, outcome="failed", failure={"class": "infra", "reason": reason, **more})


def wait_seconds(ledger: LedgerClient, run: str) -> float:
    return float(
        ledger.value(
            "select extract(epoch from due - clock_timestamp()) from rowlock.active where id = %s", run
        )
    )


def postpone(ledger: LedgerClient, run: str, attempt: int, reason: str = "Unschedulable") -> str | None:
    failure = json.dumps({"class": "infra", "reason": reason, "message": "no node"})
    return ledger.value("select state from rowlock.postpone_v1(%s, %s, %s) state", run, attempt, failure)


@pytest.mark.parametrize("reason", DISRUPTIONS)
def test_ten_disruptions_in_a_row_leave_the_run_waiting_longer_each_time_and_use_no_try(
    ledger: LedgerClient, reason: str
) -> None:
    run, waits = ledger.enqueue(), []
    for attempt in range(1, 11):
        assert failed(ledger, run, attempt, reason) == "pending"
        waits.append(wait_seconds(ledger, run))
    assert ledger.rows(f"select attempt, {TRIES} from rowlock.run") == [(11, 0, 0, 0)]
    for last, wait in zip(waits[:6], waits[1:6], strict=False):
        assert wait > 1.5 * last
    assert 45 < waits[-1] < 67, "maxBackoffSeconds of class infra"


@pytest.mark.parametrize("reason", WITHOUT_A_CAUSE)
def test_a_loss_without_a_cause_keeps_its_budget_of_five(ledger: LedgerClient, reason: str) -> None:
    run = ledger.enqueue()
    assert [failed(ledger, run, attempt, reason) for attempt in range(1, 7)] == ["pending"] * 5 + ["dead"]


def test_disruptions_between_do_not_give_the_budget_back(ledger: LedgerClient) -> None:
    run, attempt, states = ledger.enqueue(), 0, []
    while not states or states[-1] == "pending":
        attempt += 1
        states.append(failed(ledger, run, attempt, "OutOfMemory" if attempt % 3 == 0 else "Evicted"))
    assert (attempt, states[-1]) == (18, "dead")


@pytest.mark.parametrize(
    "retry",
    [{"infra": {"limit": 0}}, {"infra": {"limit": 0, "backoff_seconds": 0, "max_backoff_seconds": 0}}],
)
def test_whatever_the_queue_allows_a_disruption_is_tried_again_and_not_at_once(
    ledger: LedgerClient, retry: dict[str, Any]
) -> None:
    ledger.rows("update rowlock.queue set retry = %s", json.dumps(retry))
    run = ledger.enqueue()
    for attempt in range(1, 4):
        assert failed(ledger, run, attempt, "Evicted") == "pending"
        assert wait_seconds(ledger, run) > 0.5
    assert failed(ledger, run, 4, "OutOfMemory") == "dead"


def test_only_the_platforms_own_class_is_without_a_budget(ledger: LedgerClient) -> None:
    """A task may name its exception as it likes."""
    run = ledger.enqueue()
    ledger.rows('update rowlock.queue set retry = \'{"app": {"limit": 0}}\'')
    ledger.claim()
    assert ledger.start(run)
    assert ledger.finish(run, outcome="failed", failure={"class": "app", "reason": "Evicted"}) == "dead"


def test_an_effect_that_was_begun_stays_unknown_after_a_disruption(ledger: LedgerClient) -> None:
    run = ledger.running()
    assert ledger.value("select rowlock.begin_effect_v1(%s, 1, %s, 'post')", run, ledger.token)
    assert ledger.finish(run, outcome="failed", failure={"class": "infra", "reason": "Evicted"}) == "unknown"


def test_who_asked_to_cancel_is_obeyed_at_a_disruption(ledger: LedgerClient) -> None:
    run = ledger.running()
    ledger.rows("select rowlock.cancel_v1(array[%s::uuid])", run)
    assert (
        ledger.finish(run, outcome="failed", failure={"class": "infra", "reason": "Preempted"}) == "canceled"
    )


@pytest.fixture
def launching(ledger: LedgerClient) -> str:
    """A run that has, or should have, a kube job."""
    ledger.rows("update rowlock.queue set mode = 'Jobs'")
    run = ledger.enqueue()
    assert ledger.claim() == [run]
    return run


def test_an_attempt_that_never_started_is_closed_and_its_run_waits_without_a_try(
    ledger: LedgerClient, launching: str
) -> None:
    assert postpone(ledger, launching, 1) == "pending"
    assert ledger.rows(f"select state, attempt, {TRIES}, failure->>'reason' from rowlock.run") == [
        ("pending", 2, 0, 0, 0, "Unschedulable")
    ]
    ledger.make_due()
    assert ledger.claim() == [launching]
    assert not ledger.start(launching, 1), "a pod of the first attempt that comes late"
    assert ledger.start(launching, 2)
    assert ledger.finish(launching, 2) == "succeeded"


def test_an_attempt_that_has_started_meanwhile_is_not_given_back(
    ledger: LedgerClient, launching: str
) -> None:
    assert ledger.start(launching)
    assert postpone(ledger, launching, 1) is None
    assert ledger.finish(launching) == "succeeded"
    assert postpone(ledger, launching, 1) is None


def test_a_stale_attempt_gives_nothing_back(ledger: LedgerClient, launching: str) -> None:
    assert postpone(ledger, launching, 1) == "pending"
    ledger.make_due()
    assert ledger.claim() == [launching]
    assert postpone(ledger, launching, 1) is None
    assert ledger.state(launching) == "launching"


def test_a_hundred_postponements_are_no_death_and_a_limit_is_free_meanwhile(ledger: LedgerClient) -> None:
    ledger.rows("update rowlock.queue set mode = 'Jobs'")
    ledger.rows("select rowlock.set_limit_v1('one', 1, null, null)")
    run, other = ledger.enqueue(limits=["one:x"]), ledger.enqueue(limits=["one:x"])
    attempts = {run: 0, other: 0}
    for _ in range(100):
        ledger.make_due()
        (claimed,) = ledger.claim()
        attempts[claimed] += 1
        assert postpone(ledger, claimed, attempts[claimed]) == "pending"
    assert ledger.rows(f"select distinct state, {TRIES} from rowlock.run") == [("pending", 0, 0, 0)]
    assert min(attempts.values()) > 1, "they take turns"
    assert ledger.rows("select running from rowlock.bucket") in ([(0,)], [(1,)])


def test_the_ledger_tells_which_runs_are_interrupted_again_and_again(ledger: LedgerClient) -> None:
    run = ledger.enqueue()
    ledger.rows("set enable_seqscan = off")
    plan = "\n".join(
        row[0]
        for row in ledger.rows(
            "explain select queue_id, count(*) from rowlock.active where interruptions > 2 group by 1"
        )
    )
    assert "active_interrupted" in plan
    for attempt in range(1, 4):
        assert ledger.value("select count(*) from rowlock.active where interruptions > 2") == 0
        failed(ledger, run, attempt, "Preempted")
    assert ledger.value("select count(*) from rowlock.active where interruptions > 2") == 1
    failed(ledger, run, 4, "OutOfMemory")
    assert ledger.value("select count(*) from rowlock.active where interruptions > 2") == 0
