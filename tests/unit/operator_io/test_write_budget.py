"""What kube jobs put into the API server is bounded within any window, and nobody waits for ever."""

import random

import pytest

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.kube_jobs import build_kube_job, build_row_secret
from rowlock_operator.desired.runs import RunToLaunch
from rowlock_operator.dispatch.write_budget import MIB, WINDOW_SECONDS, WriteBudget, written_bytes
from rowlock_operator.settings import load
from tests.services.manifests import exit_queue

SEED = 7


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def written(
    budget: WriteBudget, clock: Clock, *, seconds: float, sizes: dict[str, list[int]]
) -> list[tuple[float, str, int]]:
    """Each queue tries its next run twice a second: (when, queue, bytes) of what was let through."""
    chance, done, end = random.Random(SEED), list[tuple[float, str, int]](), clock.now + seconds
    waiting = {queue: chance.choice(of) for queue, of in sizes.items()}
    while clock.now < end:
        for queue in waiting:
            while budget.spend(queue, waiting[queue]):
                done.append((clock.now, queue, waiting[queue]))
                waiting[queue] = chance.choice(sizes[queue])
        clock.now += 0.5
    return done


def most_in_a_window(done: list[tuple[float, str, int]]) -> int:
    return max(
        sum(size for at, _, size in done if begin <= at < begin + WINDOW_SECONDS) for begin, _, _ in done
    )


@pytest.mark.parametrize(
    "sizes",
    [[2600 * 1024], [100 * 1024], [100 * 1024, 2600 * 1024], [20 * MIB, 1024]],
    ids=["large", "short", "both", "odd"],
)
def test_a_queue_writes_no_more_than_its_bound_within_any_window(sizes: list[int]) -> None:
    clock = Clock()
    done = written(
        WriteBudget(192 * MIB, 0, clock=clock), clock, seconds=3 * WINDOW_SECONDS, sizes={"a": sizes}
    )
    assert most_in_a_window(done) <= 192 * MIB
    assert sum(size for _, _, size in done) > 2.5 * 0.7 * 192 * MIB, "and about as much as it may"


def test_without_a_bound_it_writes_a_gigabyte_at_once() -> None:
    """Negative twin."""
    budget = WriteBudget(0, 0, clock=Clock())
    assert all(budget.spend("a", 5 * MIB) for _ in range(1000))
    assert budget.told("a") is None


def test_all_queues_together_keep_their_bound_and_each_comes_through() -> None:
    clock = Clock()
    queues = {f"q{n}": [2600 * 1024] for n in range(20)}
    done = written(
        WriteBudget(192 * MIB, 512 * MIB, clock=clock), clock, seconds=2 * WINDOW_SECONDS, sizes=queues
    )
    assert most_in_a_window(done) <= 512 * MIB
    runs = [sum(1 for _, queue, _ in done if queue == name) for name in queues]
    assert min(runs) >= 10
    later = [queue for at, queue, _ in done if at > 1000.0 + WINDOW_SECONDS]
    shares = [later.count(name) for name in queues]
    assert max(shares) <= min(shares) + 2, "they take turns"


def test_a_run_larger_than_the_bound_comes_through_and_is_paid_for() -> None:
    clock = Clock()
    budget = WriteBudget(MIB, 0, clock=clock)
    assert budget.spend("a", 3 * MIB)
    assert not budget.spend("a", 1)
    clock.now += 2 * WINDOW_SECONDS
    assert not budget.spend("a", 3 * MIB)
    clock.now += 3 * WINDOW_SECONDS
    assert budget.spend("a", 3 * MIB)


def test_who_waits_is_told_with_the_bound_that_holds_it_and_no_more_once_nobody_does() -> None:
    clock = Clock()
    budget = WriteBudget(8 * MIB, 16 * MIB, clock=clock)
    assert budget.fitting("a", 50) == 50, "nothing is known of its rows"
    assert budget.spend("a", MIB)
    assert budget.told("a") is None
    assert budget.fitting("a", 50) == 1, "of the two that may come at once one is left"
    told = budget.told("a")
    assert told is not None
    assert (told.reason, "This WorkQueue may put 8 MiB" in told.message) == ("AtWriteBound", True)
    assert budget.holds_back("a")
    assert not budget.holds_back("b")
    clock.now += 31
    assert budget.told("a") is None
    assert not budget.holds_back("a")
    for queue in ("b", "c"):
        assert budget.spend(queue, 2 * MIB)
    assert not budget.spend("d", 2 * MIB)
    told = budget.told("d")
    assert told is not None
    assert "All WorkQueues together may put 16 MiB" in told.message


def test_a_large_row_costs_a_tenth_by_secret() -> None:
    row = RunToLaunch(
        run_id="01890a5d-ac96-774b-bcce-b302099a8057",
        attempt=1,
        task="resize",
        args={"body": "x" * 198 * 1024},
    )
    cost = {}
    for delivery in ("Annotation", "Secret"):
        queue = WorkQueue.parse(exit_queue(rowDelivery=delivery))
        secret = build_row_secret(queue=queue, run=row, kube_job_uid="u") if delivery == "Secret" else None
        cost[delivery] = written_bytes(
            build_kube_job(queue=queue, installation=Installation(worker_image="x:1"), run=row), secret
        )
    assert 2.4 * MIB < cost["Annotation"] < 2.8 * MIB
    assert cost["Secret"] < cost["Annotation"] / 8


def test_the_defaults_keep_two_windows_below_half_a_gigabyte_a_queue_and_half_of_etcd_in_all() -> None:
    settings = load({}).kube_jobs
    assert 2 * settings.queue_write_mib < 512
    assert 2 * settings.total_write_mib <= 1024
