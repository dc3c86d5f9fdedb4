"""Exactly one kube job an attempt, whatever happens to the operator while it launches a hundred."""

import random

import pytest

from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source
from tests.services.operator_room import OperatorRoom, counted_for
from tests.services.process import wait_until
from tests.services.rows import create_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SEED = 7
SOURCE = row_source(
    "orders",
    workQueueRef={"name": "resize"},
    task="resize",
    columns=["id", "amount", "customer"],
    statusColumn=STATUS_COLUMN,
)


def one_for_each_run(room: OperatorRoom) -> dict[tuple[str, str], str]:
    """(run, attempt) -> uid; fails where an attempt has two."""
    found: dict[tuple[str, str], str] = {}
    for job in room.kube_jobs():
        labels = job["metadata"]["labels"]
        attempt = (labels["rowlock.dev/run"], labels["rowlock.dev/attempt"])
        assert attempt not in found, f"two kube jobs of {attempt}"
        found[attempt] = job["metadata"]["uid"]
    return found


def test_a_hundred_rows_are_a_hundred_kube_jobs_through_kills_and_edits(room: OperatorRoom) -> None:
    create_orders(room.url, rows=100)
    room.create(exit_queue("resize", parallelism=100))
    room.create(SOURCE)
    operator = room.operator()
    wait_until(lambda: len(room.kube_jobs()) >= 100, "a hundred kube jobs", 30)
    first = one_for_each_run(room)
    assert len(first) == 100
    room.kill(operator)
    assert one_for_each_run(room) == first
    room.operator()
    room.leader()
    room.change("WorkQueue", "resize", limits={"softSeconds": 100, "hardSeconds": 200}, parallelism=120)
    wait_until(
        lambda: room.get("WorkQueue", "resize")["status"].get("observedGeneration") == 2,
        "the edit was seen",
        30,
    )
    # Longer than the launcher takes to miss a kube job (3 s) and to look again (2 s).
    assert counted_for(8, lambda: len(room.kube_jobs())) == 0
    assert one_for_each_run(room) == first
    assert statuses(room.url) == {"queued": 100}


@pytest.mark.slow
def test_an_operator_killed_at_any_moment_of_the_launch_makes_no_second_kube_job(room: OperatorRoom) -> None:
    """Five operators, each killed after a random number of the hundred kube jobs was made; the sixth makes
    the rest.
    """
    create_orders(room.url, rows=100)
    room.create(exit_queue("resize", parallelism=100))
    room.create(SOURCE)
    chance, seen = random.Random(SEED), dict[tuple[str, str], str]()
    for bound in sorted(chance.sample(range(5, 95), 5)):
        operator = room.operator(ready=False)
        wait_until(lambda bound=bound: len(room.kube_jobs()) >= bound, f"{bound} kube jobs", 40)
        room.kill(operator)
        now = one_for_each_run(room)
        assert seen.items() <= now.items(), "a kube job was made anew"
        seen = now
    room.operator()
    wait_until(lambda: len(room.kube_jobs()) >= 100, "a hundred kube jobs", 40)
    assert counted_for(6, lambda: len(room.kube_jobs())) == 0
    last = one_for_each_run(room)
    assert len(last) == 100
    assert seen.items() <= last.items()
    assert {attempt for _, attempt in last} == {"1"}
