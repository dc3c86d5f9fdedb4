"""The lease and the fences when the database's answer is lost, once before and once after the call was
carried out.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from rowlock_jobs.errors import FenceAway, LeaseLost
from rowlock_jobs.fence.connection import FenceConnection
from rowlock_jobs.fence.ledger import Ledger
from rowlock_jobs.fence.values import FinishedRun, RunnerToken, RunRef, parse_rq_id
from rowlock_jobs.outcome import Outcome, failed, succeeded
from rowlock_jobs.settings import Lease as LeaseSettings
from rowlock_jobs.worker.lease import Lease
from tests.integration.jobs.stage import Stage

pytestmark = pytest.mark.integration


class UnreliableConnection(FenceConnection):
    """The real connection; the answer of the next call that mentions `word` is lost, after it was carried out
    or instead of that.
    """

    word, carried_out = "", True

    def call(self, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        lose = bool(self.word) and self.word in statement
        if lose:
            self.word = ""
        if lose and not self.carried_out:
            raise FenceAway("lost before")
        rows = super().call(statement, parameters)
        if lose:
            raise FenceAway("lost after")
        return rows


@pytest.fixture
def connection(stage: Stage) -> Iterator[UnreliableConnection]:
    made = UnreliableConnection(stage.database, "test")
    yield made
    made.close()


@pytest.fixture
def lease(connection: UnreliableConnection) -> Lease:
    made = Lease(Ledger(connection), "test", LeaseSettings(), lambda seconds: None)
    made.take()
    return made


def claimed(stage: Stage) -> RunRef:
    (run_id,) = stage.run("noop")
    ref = parse_rq_id(f"{run_id}-1")
    assert ref is not None
    return ref


def test_a_start_that_happened_and_was_not_answered_is_handed_back(
    stage: Stage, connection: UnreliableConnection, lease: Lease
) -> None:
    ref = claimed(stage)
    connection.word, connection.carried_out = "cycle_v1", True
    assert not lease.cycle((), [ref]).started
    found = stage.look(ref.id)
    assert (found["state"], found["attempt"], found["infra_tries"], found["app_tries"]) == (
        "pending",
        2,
        1,
        0,
    )


def test_without_handing_it_back_such_a_run_stays_running_in_nobodys_hands(
    stage: Stage, connection: UnreliableConnection
) -> None:
    """The negative twin: asking the start fence again under the same lease says no, and the sweep sees a
    living runner.
    """
    ref, ledger = claimed(stage), Ledger(connection)
    runner = ledger.hello(name="twin", lease_seconds=10)
    token = RunnerToken(str(uuid4()))
    assert ledger.start([ref], runner=runner, token=token)  # carried out; imagine that the answer was lost
    assert not ledger.start([ref], runner=runner, token=token)
    stage.sweep()
    assert stage.look(ref.id)["state"] == "running"


def test_a_start_that_did_not_happen_is_asked_again_and_costs_nothing(
    stage: Stage, connection: UnreliableConnection, lease: Lease
) -> None:
    ref = claimed(stage)
    connection.word, connection.carried_out = "cycle_v1", False
    (started,) = lease.cycle((), [ref]).started
    assert started.ref == ref
    assert stage.look(ref.id)["infra_tries"] == 0
    assert lease.cycle([FinishedRun(ref, succeeded(None))], ()).finished == {ref.id: "succeeded"}


@pytest.mark.parametrize("carried_out", [True, False], ids=["lost after", "lost before"])
def test_a_finish_that_was_not_answered_counts_once(
    stage: Stage, connection: UnreliableConnection, lease: Lease, carried_out: bool
) -> None:
    ref = claimed(stage)
    assert lease.cycle((), [ref]).started
    connection.word, connection.carried_out = "cycle_v1", carried_out
    following = claimed(stage)
    answer = lease.cycle([FinishedRun(ref, succeeded({"a": 1}))], [following])
    assert stage.look(ref.id)["state"] == "succeeded"
    assert stage.look(ref.id)["result"] == {"a": 1}
    assert stage.sql("select count(*) from rowlock.done where id = %s", ref.id) == [(1,)]
    # The start in the same call took place with it, or is repeated under a new lease.
    assert (not answer.started) == carried_out
    assert stage.look(following.id)["state"] == ("pending" if carried_out else "running")


def test_a_refused_start_of_a_runner_that_was_given_up_is_asked_again_under_a_new_lease(
    stage: Stage, lease: Lease
) -> None:
    ref = claimed(stage)
    before = lease.take()
    stage.sql("update rowlock.runner set dead = true where id > 0")
    assert lease.cycle((), [ref]).started
    assert lease.take() != before


def test_renewal_of_a_runner_that_was_given_up_says_so(stage: Stage, lease: Lease) -> None:
    stage.sql("update rowlock.runner set dead = true where id > 0")
    lease._renew_at = 0.0
    with pytest.raises(LeaseLost):
        lease.renew()


def test_progress_that_cannot_be_stored_does_not_cost_the_lease(stage: Stage, lease: Lease) -> None:
    ref = claimed(stage)
    assert lease.cycle((), [ref]).started
    stage.sql("update rowlock.runner set lease_until = clock_timestamp() + interval '1 second' where id > 0")
    lease._renew_at = 0.0
    lease.renew((ref.id, '{"note": "a\\u0000b"}'))
    assert stage.sql(
        "select lease_until > clock_timestamp() + interval '9 seconds' from rowlock.runner where id > 0"
    ) == [(True,)]


REFUSED = {
    "no JSON": Outcome("succeeded", result="{"),
    "nested too deep": Outcome("succeeded", result="[" * 100_000 + "]" * 100_000),
    "a number out of range": Outcome("succeeded", result="1e999999"),
    "half a surrogate pair": Outcome("succeeded", result='"\ud800"'),
    "a NUL character": Outcome("succeeded", result='"\x00"'),
    "a failure that cannot be read": Outcome(
        "failed", failure='{"class": "site", "permanent": "maybe"}', failure_class="site", reason="X"
    ),
    "a delay beyond all calendars": Outcome(
        "failed", failure='{"class": "site", "after_seconds": 1e300}', failure_class="site", reason="X"
    ),
}


def test_an_outcome_that_the_ledger_refuses_is_recorded_with_a_note_and_its_neighbours_are_recorded(
    stage: Stage, lease: Lease
) -> None:
    refs = [claimed(stage) for _ in range(len(REFUSED) + 2)]
    assert len(lease.cycle((), refs).started) == len(refs)
    outcomes = [succeeded({"first": 1}), *REFUSED.values(), succeeded({"last": 1})]
    answer = lease.cycle([FinishedRun(ref, outcome) for ref, outcome in zip(refs, outcomes, strict=True)], ())
    assert [answer.finished[ref.id] for ref in refs] == ["succeeded"] * 6 + ["pending"] * 2 + ["succeeded"]
    found = [stage.look(ref.id) for ref in refs]
    assert (found[0]["result"], found[-1]["result"]) == ({"first": 1}, {"last": 1})
    assert {row["result"]["remark"] for row in found[1:6]} == {"ResultNotStorable"}
    assert {(row["failure"]["class"], row["failure"]["reason"], row["site_tries"]) for row in found[6:8]} == {
        ("site", "X", 1)
    }


def test_a_rule_of_the_database_that_holds_up_one_outcome_does_not_hold_up_its_neighbours(
    stage: Stage, connection: UnreliableConnection
) -> None:
    """The rule may go: that one is asked for until then, and its result is not thrown away."""
    refs = [claimed(stage) for _ in range(3)]
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if [stage.look(ref.id)["state"] for ref in refs[1:]] == ["succeeded"] * 2:
            stage.sql("alter table rowlock.done drop constraint if exists odd")

    lease = Lease(Ledger(connection), "test", LeaseSettings(), pause)
    lease.take()
    assert len(lease.cycle((), refs).started) == 3
    stage.sql("alter table rowlock.done add constraint odd check (result <> '{\"n\": 0}')")
    answer = lease.cycle([FinishedRun(ref, succeeded({"n": n})) for n, ref in enumerate(refs)], ())
    assert set(answer.finished.values()) == {"succeeded"}
    assert stage.look(refs[0].id)["result"] == {"n": 0}
    assert 1 <= len(pauses) < 10


def test_a_rule_that_stays_and_is_about_the_result_leaves_a_remark_and_lets_the_worker_go_on(
    stage: Stage, connection: UnreliableConnection
) -> None:
    lease = Lease(Ledger(connection), "test", LeaseSettings(), lambda seconds: None)
    lease.take()
    refs = [claimed(stage) for _ in range(2)]
    assert len(lease.cycle((), refs).started) == 2
    stage.sql("alter table rowlock.done add constraint odd check (result <> '{\"n\": 0}')")
    following = claimed(stage)
    answer = lease.cycle([FinishedRun(ref, succeeded({"n": n})) for n, ref in enumerate(refs)], [following])
    assert set(answer.finished.values()) == {"succeeded"}
    assert [run.ref for run in answer.started] == [following], "no runner was given up for it"
    assert stage.look(refs[0].id)["result"]["remark"] == "ResultNotStorable"
    assert stage.look(refs[1].id)["result"] == {"n": 1}


def test_an_outcome_whose_note_is_refused_too_ends_its_runner_and_not_the_worker(
    stage: Stage, lease: Lease
) -> None:
    """A run that is running under our lease and in nobody's hands would never end."""
    bad, good = claimed(stage), claimed(stage)
    before = lease.take()
    assert len(lease.cycle((), [bad, good]).started) == 2
    stage.sql("""update rowlock.queue set retry = '{"app": {"limit": "many"}}'""")
    answer = lease.cycle([FinishedRun(bad, failed("app", "X", "m")), FinishedRun(good, succeeded(None))], ())
    assert answer.finished == {good.id: "succeeded"}
    stage.wait_state(bad.id, "pending")
    assert stage.look(bad.id)["infra_tries"] == 1
    assert lease.take() != before


def test_a_statement_that_waits_too_long_is_given_up_and_leaves_no_timeout_behind(stage: Stage) -> None:
    connection = FenceConnection(stage.database, "test", statement_timeout_ms=100)
    with pytest.raises(FenceAway, match="statement timeout"):
        connection.call("select pg_sleep(%(seconds)s)", {"seconds": 20})
    assert connection.call("select 1", {}) == [(1,)]
    connection.close()
