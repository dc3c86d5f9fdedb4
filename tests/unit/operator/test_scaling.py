"""How many workers, and how many kube jobs, case by case."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowlock_operator.api.work_queue import WorkQueue, WorkQueueSpec
from rowlock_operator.decide.scaling import ScalingDecision, decide_replicas
from rowlock_operator.observed.queues import Depth
from tests.services.manifests import work_queue

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def spec(**fields: Any) -> WorkQueueSpec:
    scaling = {
        "min": 0,
        "max": 10,
        "targetPerReplica": 10,
        "cooldownSeconds": 60,
        **fields.pop("scaling", {}),
    }
    return WorkQueue.parse(work_queue(scaling=scaling, **fields)).spec


def decide(
    of: WorkQueueSpec, depth: Depth | None, *, current: int, busy: int | None = 0, idle_seconds: float = 3600
) -> ScalingDecision:
    last = NOW - timedelta(seconds=idle_seconds)
    return decide_replicas(of, now=NOW, depth=depth, current=current, busy_workers=busy, last_active_at=last)


@pytest.mark.parametrize(
    ("load", "current", "fields", "expected"),
    [
        pytest.param(Depth(), 0, {}, 0, id="nothing to do, none there"),
        pytest.param(Depth(due=1), 0, {}, 1, id="the first run starts the first worker at once"),
        pytest.param(Depth(due=10), 0, {}, 1, id="ten runs, ten a worker"),
        pytest.param(Depth(due=11), 1, {}, 2, id="eleven runs, ten a worker"),
        pytest.param(Depth(due=5, queued=5, running=1), 1, {}, 2, id="waiting, queued and running count"),
        pytest.param(
            Depth(waiting=50, blocked=50), 0, {}, 0, id="runs behind a limit or not yet due start nobody"
        ),
        pytest.param(Depth(due=1_000_000), 3, {}, 10, id="a million runs, at most max"),
        pytest.param(Depth(), 0, {"scaling": {"min": 2}}, 2, id="never fewer than min"),
        pytest.param(Depth(), 5, {}, 0, id="idle longer than the cooldown"),
        pytest.param(Depth(due=11), 5, {}, 2, id="less to do for longer than the cooldown"),
        pytest.param(Depth(due=500), 3, {"replicas": 7}, 7, id="spec.replicas overrides the need"),
        pytest.param(Depth(due=500), 3, {"replicas": 0}, 0, id="spec.replicas 0 means none"),
        pytest.param(None, 3, {"replicas": 7}, 7, id="spec.replicas needs no depth"),
        pytest.param(None, 3, {}, None, id="unknown depth changes nothing"),
        pytest.param(
            None, 3, {"suspend": True}, None, id="unknown depth changes nothing while suspended either"
        ),
        pytest.param(Depth(due=500), 3, {"suspend": True}, 0, id="suspended, nothing runs"),
        pytest.param(
            Depth(due=500, running=1), 3, {"suspend": True}, None, id="suspended, a run still finishes"
        ),
        pytest.param(Depth(), 3, {"suspend": True, "replicas": 5}, 0, id="suspend wins over spec.replicas"),
        pytest.param(Depth(due=1), 20, {}, 10, id="more than a lowered max: no need to wait"),
    ],
)
def test_the_number_of_workers(
    load: Depth | None, current: int, fields: dict[str, Any], expected: int | None
) -> None:
    idle_seconds = 0 if current > 10 else 3600
    assert decide(spec(**fields), load, current=current, idle_seconds=idle_seconds).replicas == expected


def test_workers_stay_through_the_cooldown_and_the_next_look_is_at_its_end() -> None:
    decision = decide(spec(), Depth(), current=5, idle_seconds=20)
    assert (decision.replicas, decision.look_after_seconds) == (None, 40)


def test_work_that_needs_all_workers_starts_the_cooldown_again() -> None:
    decision = decide(spec(), Depth(running=50), current=5, idle_seconds=55)
    assert decision.replicas == 5
    assert decision.last_active_at == NOW
    later = decide_replicas(
        spec(),
        now=NOW + timedelta(seconds=50),
        depth=Depth(),
        current=5,
        busy_workers=0,
        last_active_at=decision.last_active_at,
    )
    assert later.replicas is None


def test_the_instant_in_the_status_moves_at_most_every_ten_seconds() -> None:
    instants = {
        decide_replicas(
            spec(),
            now=NOW + timedelta(seconds=s),
            depth=Depth(due=1),
            current=0,
            busy_workers=0,
            last_active_at=None,
        ).last_active_at
        for s in range(1, 21)
    }
    assert instants == {NOW + timedelta(seconds=10), NOW + timedelta(seconds=20)}


def test_a_first_look_at_idle_workers_waits_a_whole_cooldown() -> None:
    """After a restart nobody knows since when: assume since now."""
    decision = decide_replicas(spec(), now=NOW, depth=Depth(), current=5, busy_workers=0, last_active_at=None)
    assert (decision.replicas, decision.last_active_at) == (None, NOW)


@pytest.mark.parametrize(
    ("busy", "expected"),
    [
        pytest.param(4, 4, id="four busy workers stay"),
        pytest.param(0, 1, id="none busy"),
        pytest.param(None, 3, id="unknown: each running run may be on a worker of its own"),
        pytest.param(99, 8, id="never up because of busy ones"),
    ],
)
def test_busy_workers_are_not_taken_away(busy: int | None, expected: int) -> None:
    assert decide(spec(), Depth(running=3), current=8, busy=busy).replicas == expected


@given(
    due=st.integers(0, 10_000),
    running=st.integers(0, 200),
    current=st.integers(0, 30),
    busy=st.integers(0, 30),
    low=st.integers(0, 10),
    more=st.integers(0, 10),
    idle=st.integers(0, 200),
)
def test_whatever_is_seen_the_answer_is_within_bounds_and_spares_the_busy(
    due: int, running: int, current: int, busy: int, low: int, more: int, idle: int
) -> None:
    of = spec(scaling={"min": low, "max": max(1, low + more)})
    decision = decide(of, Depth(due=due, running=running), current=current, busy=busy, idle_seconds=idle)
    if decision.replicas is None:
        return
    assert decision.replicas >= low
    assert decision.replicas <= max(of.scaling.max, min(busy, current))
    if decision.replicas < current:
        assert decision.replicas >= min(busy, current)
        assert current > of.scaling.max or idle >= of.scaling.cooldown_seconds
    if due + running > 0:
        assert decision.replicas >= 1
