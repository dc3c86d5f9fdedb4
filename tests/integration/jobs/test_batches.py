"""Short runs are taken by the handful; one that turns out slow, or dies, costs the others nothing."""

from collections import Counter

import pytest

from rowlock_jobs.worker import attempts, loop
from rowlock_jobs.worker.batch_size import LARGEST_BATCH
from rowlock_jobs.worker.start_permits import StartPermits
from tests.integration.jobs.stage import RQ_QUEUE, Stage
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that takes eight at once from the beginning, as if all its runs had been short."""

    class Eager(loop.BatchSize):
        def __init__(self) -> None:
            super().__init__()
            self.size = 8

    monkeypatch.setattr(loop, "BatchSize", Eager)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine makes short runs long: here a batch is not broken up for that."""
    monkeypatch.setattr(attempts, "PATIENCE_SECONDS", 60.0)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time enough, on a busy machine too, for the short runs in front to end and the slow one to begin; then
    the batch is broken up.
    """
    monkeypatch.setattr(attempts, "PATIENCE_SECONDS", 2.0)


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Always eight at once, whatever the last ones took."""

    class Steady(loop.BatchSize):
        def __init__(self) -> None:
            super().__init__()
            self.size = 8

        def note(self, mean_seconds: float) -> None:
            return

    monkeypatch.setattr(loop, "BatchSize", Steady)


def attempts_begun(stage: Stage, text: str) -> list[tuple[str, str]]:
    return [(run, attempt) for run, attempt, *_ in (line.split() for line in stage.notes(text))]


@pytest.mark.usefixtures("steady", "patient")
def test_short_runs_share_commits_and_round_trips(stage: Stage) -> None:
    def turns_so_far() -> int:
        return int(stage.redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))

    before = turns_so_far()
    ids = stage.run("noop", 400)
    worker = stage.worker()
    stage.wait_ended(ids)
    turns = turns_so_far() - before
    assert turns < 400 / 8 * 2, f"{turns} turns for 400 runs"
    assert len(stage.notes("noop")) == 400
    assert (
        len(worker.events("run_started")) - len(worker.events("run_handed_back"))
        == len(worker.events("run_finished"))
        == 400
    )


@pytest.mark.usefixtures("eager", "unhurried")
def test_nobody_waits_behind_a_run_that_turns_out_slow(stage: Stage) -> None:
    first = stage.enqueue("noop", 2)
    (slow,) = stage.enqueue("hold", release=str(stage.folder / "go"))
    others = stage.enqueue("noop", 5)
    stage.dispatch(8)
    worker = stage.worker()
    stage.wait_note("begin")
    worker.wait_event("run_handed_back", 5)
    stage.wait_ended(first)  # recorded before the slow one ends
    assert stage.look(slow)["state"] == "running"
    assert [stage.look(run)["state"] for run in others] == ["queued"] * 5
    assert [entry.decode() for entry in stage.redis.lrange(f"rq:queue:{RQ_QUEUE}", 0, -1)] == [
        f"{run}-1" for run in others
    ]
    stage.worker()
    stage.wait_ended(others)
    assert stage.look(slow)["state"] == "running"
    (stage.folder / "go").touch()
    stage.wait_ended([slow])
    found = [stage.look(run) for run in [*first, slow, *others]]
    assert {(run["state"], run["attempt"], run["infra_tries"]) for run in found} == {("succeeded", 1, 0)}
    assert stage.redis.keys("rq:execution:*") == []


@pytest.mark.usefixtures("eager", "patient")
def test_a_child_that_dies_costs_only_the_run_it_had_begun(stage: Stage) -> None:
    before = stage.enqueue("noop", 3)
    (deadly,) = stage.enqueue("dies", how="kill")
    after = stage.enqueue("noop", 4)
    stage.dispatch(8)
    worker = stage.worker()
    stage.wait_ended(before + after)
    assert len(worker.events("run_handed_back")) == 4
    found = [stage.look(run) for run in before + after]
    assert {(run["state"], run["attempt"], run["infra_tries"], run["app_tries"]) for run in found} == {
        ("succeeded", 1, 0, 0)
    }
    wait_until(lambda: stage.look(deadly)["failure"], "the failure is recorded")
    assert (stage.look(deadly)["failure"]["reason"], stage.look(deadly)["infra_tries"]) == ("ChildKilled", 1)
    assert max(Counter(attempts_begun(stage, "noop")).values()) == 1


@pytest.mark.usefixtures("eager", "unhurried")
def test_without_permits_a_run_that_goes_back_begins_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative twin: the child does not ask before it begins, so what the parent took back runs here and
    elsewhere.
    """
    take = StartPermits.take
    monkeypatch.setattr(StartPermits, "take", lambda self: take(self) or True)
    monkeypatch.setattr(StartPermits, "take_back", lambda self: sum(take(self) for _ in range(LARGEST_BATCH)))
    stage.enqueue("hold", release=str(stage.folder / "go"))
    others = stage.enqueue("noop", 5)
    stage.dispatch(6)
    first = stage.worker()
    first.wait_event("run_handed_back", 5)
    monkeypatch.setattr(attempts, "PATIENCE_SECONDS", 60.0)  # the second one shall not send them round again
    stage.worker()
    stage.wait_ended(others)
    (stage.folder / "go").touch()
    wait_until(lambda: len(stage.notes("noop")) > 5, "a run that went back began twice")


@pytest.mark.usefixtures("eager", "unhurried")
def test_a_wish_to_end_in_a_batch_with_a_slow_run_strands_nothing(stage: Stage) -> None:
    (slow,) = stage.enqueue("hold", release=str(stage.folder / "never"))
    others = stage.enqueue("noop", 5)
    stage.dispatch(6)
    worker = stage.worker(grace_seconds="0.3")
    stage.wait_note("begin")
    worker.terminate()
    assert worker.wait() == 0
    assert (stage.look(slow)["state"], stage.look(slow)["infra_tries"]) == ("pending", 1)
    assert [(stage.look(run)["state"], stage.look(run)["attempt"]) for run in others] == [("queued", 1)] * 5
    listed = {entry.decode() for entry in stage.redis.lrange(f"rq:queue:{RQ_QUEUE}", 0, -1)}
    assert listed == {f"{run}-1" for run in others}


@pytest.mark.usefixtures("eager", "unhurried")
def test_a_canceled_run_of_a_broken_batch_is_the_one_that_ends(stage: Stage) -> None:
    done = stage.enqueue("noop")
    (slow,) = stage.enqueue("hold_checking", release=str(stage.folder / "never"))
    stage.dispatch(2)
    stage.worker()
    stage.wait_note("begin")
    stage.sql("select rowlock.cancel_v1(array[%s]::uuid[])", slow)
    stage.wait_state(slow, "canceled")
    assert stage.look(done[0])["state"] == "succeeded"


@pytest.mark.usefixtures("eager")
def test_a_result_that_cannot_be_stored_does_not_take_its_neighbours_with_it(stage: Stage) -> None:
    good = stage.enqueue("echo", 2)
    (bad,) = stage.enqueue("strange_result", kind="nul")
    more = stage.enqueue("echo", 2)
    stage.dispatch(5)
    stage.worker()
    stage.wait_ended([*good, bad, *more])
    assert {(stage.look(run)["state"], stage.look(run)["attempt"]) for run in [*good, bad, *more]} == {
        ("succeeded", 1)
    }
    assert stage.look(bad)["result"]["remark"] == "ResultNotStorable"


def test_only_the_holder_hands_a_run_back_and_a_canceled_one_ends_instead(stage: Stage) -> None:
    ids = stage.run("noop", 3)
    token, other = "01a206a9-693f-4ce0-93cb-cfb87fa51e52", "01a206a9-693f-4ce0-93cb-cfb87fa51e53"
    runner = stage.sql("select rowlock.hello_v1('test')")[0][0]
    stage.sql("select count(*) from rowlock.start_v1(%s::uuid[], array[1, 1, 1], %s, %s)", ids, runner, token)
    back = "select hand_back_v1::text from rowlock.hand_back_v1(array[%s]::uuid[], array[%s], %s)"
    assert stage.sql(back, ids[0], 1, other) == []
    assert stage.sql(back, ids[0], 2, token) == []
    assert stage.look(ids[0])["state"] == "running"
    assert stage.sql(back, ids[0], 1, token) == [(ids[0],)]
    assert stage.sql(back, ids[0], 1, token) == []
    stage.sql("select rowlock.cancel_v1(array[%s]::uuid[])", ids[1])
    assert stage.sql(back, ids[1], 1, token) == []
    assert stage.sql("select rowlock.begin_effect_v1(%s, 1, %s, 'post')", ids[2], token) == [(True,)]
    assert stage.sql(back, ids[2], 1, token) == []
    assert [stage.look(run)["state"] for run in ids] == ["queued", "canceled", "running"]
