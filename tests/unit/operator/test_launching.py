"""How many kube jobs of a queue may be created, while they start and while they do not."""

import pytest

from rowlock_operator.decide.launching import Starts, launches_allowed
from rowlock_operator.decide.outcome import NotStarted
from rowlock_operator.dispatch.start_gates import PROBE_SECONDS, StartGates

QUEUE, DEADLINE = 7, 300
NO_NODE = NotStarted(failure_class="infra", reason="Unschedulable", message="0/1 nodes: insufficient memory")


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("in_hand", "expected"),
    [pytest.param(0, 5, id="all free"), pytest.param(3, 2, id="two free"), pytest.param(7, 0, id="lowered")],
)
def test_as_many_as_parallelism_says_while_they_start(in_hand: int, expected: int) -> None:
    assert launches_allowed(parallelism=5, in_hand=in_hand) == expected
    assert launches_allowed(parallelism=5, in_hand=in_hand, starts=Starts()) == expected


def closed(gates: StartGates, runs: int = 2) -> None:
    for n in range(runs):
        gates.given_back(QUEUE, f"run {n}", NO_NODE)


def allowed(gates: StartGates, in_hand: int = 0, parallelism: int = 10) -> int:
    return gates.allowed(QUEUE, parallelism=parallelism, in_hand=in_hand, deadline_seconds=DEADLINE)


def test_one_run_that_does_not_start_closes_nothing_however_often() -> None:
    gates = StartGates(Clock())
    for _ in range(20):
        gates.given_back(QUEUE, "the only one", NO_NODE)
    assert (allowed(gates), gates.trouble(QUEUE)) == (10, None)


def test_two_runs_without_a_start_in_between_leave_one_probe_at_growing_intervals() -> None:
    clock = Clock()
    gates = StartGates(clock)
    closed(gates, 10)
    waits: list[float] = []
    for _ in range(10):
        began = clock.seconds
        while not allowed(gates):
            clock.seconds += 0.5
        waits.append(clock.seconds - began)
        assert allowed(gates) == 1
        gates.claimed(QUEUE, deadline_seconds=DEADLINE)
        gates.seen(QUEUE, starting=1)
        assert allowed(gates) == 0
        clock.seconds += DEADLINE
        gates.given_back(QUEUE, "a probe", NO_NODE)
        gates.seen(QUEUE, starting=0)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    trouble = gates.trouble(QUEUE)
    assert trouble is not None
    assert trouble.reason == "Unschedulable"
    assert "insufficient memory" in trouble.message
    assert "add nodes" in trouble.message


def test_a_start_opens_the_queue_at_once() -> None:
    gates = StartGates(Clock())
    closed(gates)
    assert allowed(gates) == 0
    gates.started(QUEUE, repeat=False)
    assert (allowed(gates), gates.trouble(QUEUE)) == (10, None)
    gates.given_back(QUEUE, "one", NO_NODE)
    gates.started(QUEUE, repeat=False)
    gates.given_back(QUEUE, "another", NO_NODE)
    assert allowed(gates) == 10, "between the two something started"


def test_runs_that_run_on_are_no_reason_for_more_than_one_probe() -> None:
    clock = Clock()
    gates = StartGates(clock)
    closed(gates)
    clock.seconds = 2
    assert allowed(gates, in_hand=6) == 1
    assert allowed(gates, in_hand=10) == 0


def test_a_probe_that_is_never_heard_of_again_ends_no_probing() -> None:
    clock = Clock()
    gates = StartGates(clock)
    closed(gates)
    clock.seconds = 2
    gates.claimed(QUEUE, deadline_seconds=DEADLINE)
    assert allowed(gates) == 0
    clock.seconds += DEADLINE + PROBE_SECONDS
    assert allowed(gates) == 1


def test_a_changed_work_queue_is_tried_at_once_although_a_kube_job_of_the_old_one_still_waits() -> None:
    clock = Clock()
    gates = StartGates(clock)
    gates.asked(QUEUE, 1)
    closed(gates)
    gates.seen(QUEUE, starting=1)
    gates.asked(QUEUE, 1)
    assert allowed(gates) == 0
    gates.asked(QUEUE, 2)
    assert allowed(gates) == 1
    gates.claimed(QUEUE, deadline_seconds=DEADLINE)
    assert allowed(gates) == 0


def test_queues_know_nothing_of_each_other() -> None:
    gates = StartGates(Clock())
    closed(gates)
    assert gates.allowed(QUEUE + 1, parallelism=10, in_hand=4, deadline_seconds=DEADLINE) == 6
    assert gates.trouble(QUEUE + 1) is None


def test_of_runs_that_did_not_start_before_one_at_a_time_is_tried_until_one_starts() -> None:
    clock = Clock()
    gates = StartGates(clock)
    assert all(gates.takes_repeat(QUEUE) for _ in range(10)), "as long as everything starts"
    gates.given_back(QUEUE, "odd", NO_NODE)
    assert [gates.takes_repeat(QUEUE) for _ in range(3)] == [True, False, False]
    gates.seen(QUEUE, starting=1, repeats=1)
    clock.seconds += DEADLINE - 1
    assert not gates.takes_repeat(QUEUE)
    gates.started(QUEUE, repeat=False)
    assert not gates.takes_repeat(QUEUE), "that others start says nothing of them"
    gates.seen(QUEUE, starting=0, repeats=0)
    assert gates.takes_repeat(QUEUE)
    gates.started(QUEUE, repeat=True)
    assert all(gates.takes_repeat(QUEUE) for _ in range(10))


def test_a_probe_that_gives_way_leaves_its_turn_to_the_next() -> None:
    clock = Clock()
    gates = StartGates(clock)
    closed(gates)
    clock.seconds = 2
    gates.claimed(QUEUE, deadline_seconds=DEADLINE)
    gates.passed_over(QUEUE)
    assert allowed(gates) == 1


def test_a_queue_of_which_only_repeats_were_tried_for_long_is_open_to_what_is_new() -> None:
    clock = Clock()
    gates = StartGates(clock)
    closed(gates)
    for _ in range(3):
        clock.seconds += DEADLINE
        gates.given_back(QUEUE, "run 1", NO_NODE, repeat=True)
    assert allowed(gates) == 10
    assert gates.trouble(QUEUE) is not None, "nothing has started all the same"
    gates.given_back(QUEUE, "a new one", NO_NODE)
    clock.seconds += 1
    assert allowed(gates) <= 1
