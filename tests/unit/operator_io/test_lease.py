"""The elector in virtual time."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from rowlock_operator.cluster.lease import Elector, ElectorSettings
from rowlock_operator.errors import LeaseLost
from tests.unit.operator_io.memory_lease import MemoryLease
from tests.unit.operator_io.virtual_time import run


class Candidate:
    """An elector with work that records when it ran, on the shared virtual clock."""

    def __init__(self, store: MemoryLease, name: str, seed: int = 0, stubborn_seconds: float = 0.0) -> None:
        self.name, self.stubborn_seconds = name, stubborn_seconds
        self.loop = asyncio.get_running_loop()
        self.works = False
        self.fails: Exception | None = None
        self.stuck = 0
        self.terms: list[list[float]] = []
        self.elector = Elector(
            store, name, self.lead, clock=self.loop.time, rng=random.Random(seed), on_stuck=self._count_stuck
        )
        self.task = asyncio.create_task(self.elector.run())

    def _count_stuck(self) -> None:
        self.stuck += 1

    async def lead(self) -> None:
        self.works = True
        self.terms.append([self.loop.time()])
        try:
            while self.fails is None:
                await asyncio.sleep(0.1)
            raise self.fails
        except asyncio.CancelledError:
            if self.stubborn_seconds:
                await asyncio.sleep(self.stubborn_seconds)
            raise
        finally:
            self.works = False
            self.terms[-1].append(self.loop.time())

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LeaseLost):
            await self.task


async def until(condition: Callable[[], object], seconds: float = 60) -> float:
    """Virtual seconds until the condition held."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        assert loop.time() - began < seconds, "condition never held"
        await asyncio.sleep(0.05)
    return loop.time() - began


def test_of_two_candidates_one_leads_and_its_lease_never_lapses_while_it_renews() -> None:
    async def scenario() -> None:
        store = MemoryLease()
        a, b = Candidate(store, "a", 1), Candidate(store, "b", 2)
        await until(lambda: a.works or b.works, 5)
        leader = a if a.works else b
        for _ in range(3000):
            assert a.works + b.works == 1
            assert leader.works
            assert leader.elector.holds()
            await asyncio.sleep(0.1)
        assert store.record is not None
        assert store.record.transitions == 1
        await a.stop()
        await b.stop()

    run(scenario())


def test_an_orderly_stop_hands_over_within_three_seconds_and_the_work_ends_before_the_release() -> None:
    async def scenario() -> None:
        store = MemoryLease()
        a = Candidate(store, "a", stubborn_seconds=1.0)
        await until(lambda: a.works, 5)
        b = Candidate(store, "b")
        await asyncio.sleep(30)
        stopping = asyncio.create_task(a.stop())
        while not stopping.done():
            assert not (a.works and b.works)
            await asyncio.sleep(0.05)
        assert await until(lambda: b.works, 5) < 3
        assert a.terms[0][1] <= b.terms[0][0]
        await b.stop()

    run(scenario())


def test_a_crashed_leader_is_replaced_after_the_lease_and_not_before() -> None:
    async def scenario() -> None:
        store = MemoryLease()
        a = Candidate(store, "a")
        await until(lambda: a.works, 5)
        b = Candidate(store, "b")
        await asyncio.sleep(30)
        a.elector._store = DeadStore()  # type: ignore[assignment]  # as a process that is gone: it renews and releases nothing any more
        took = await until(lambda: b.works, 30)
        assert 12.5 <= took < 20
        await a.stop()
        await b.stop()

    run(scenario())


class DeadStore(MemoryLease):
    async def _fault(self) -> None:
        await asyncio.sleep(10_000)


@pytest.mark.parametrize("fault", ["down", "hangs"])
def test_a_leader_that_cannot_renew_stops_before_anybody_else_may_start(fault: str) -> None:
    async def scenario() -> None:
        store = MemoryLease()
        a = Candidate(store, "a", stubborn_seconds=2.0)
        await until(lambda: a.works, 5)
        await asyncio.sleep(30)
        last_renewal = a.elector._renewed_at
        setattr(store, fault, True)
        await until(lambda: not a.elector.holds(), 30)
        await until(lambda: not a.works, 10)
        ended = asyncio.get_running_loop().time()
        assert ended - last_renewal < 15
        setattr(store, fault, False)
        await until(lambda: a.works, 20)  # and becomes a candidate again
        await a.stop()

    run(scenario())


def test_without_the_renew_deadline_two_would_lead_at_once() -> None:
    """The negative twin: a leader that ignores its own deadline overlaps with the next one."""

    async def scenario() -> None:
        store, cut_off = MemoryLease(), DeadStore()
        a = Candidate(store, "a")
        await until(lambda: a.works, 5)
        a.elector.holds = lambda: True  # type: ignore[method-assign]
        a.elector._store = cut_off
        b = Candidate(store, "b")
        await until(lambda: a.works and b.works, 40)
        a.task.cancel()
        await b.stop()

    run(scenario())


def test_work_that_outlasts_the_trust_window_is_reported_as_stuck_and_the_lease_is_not_released() -> None:
    async def scenario() -> None:
        store = MemoryLease()
        a = Candidate(store, "a", stubborn_seconds=60.0)
        await until(lambda: a.works, 5)
        store.down = True
        with pytest.raises(LeaseLost, match="did not end within the trust window"):
            await a.task
        assert a.stuck == 1
        assert store.record is not None
        assert store.record.holder == "a"

    run(scenario())


def test_a_leader_whose_work_failed_releases_the_lease_and_raises() -> None:
    async def scenario() -> None:
        store = MemoryLease()
        a, b = Candidate(store, "a"), None
        await until(lambda: a.works, 5)
        b = Candidate(store, "b")
        a.fails = RuntimeError("the dispatcher died")
        with pytest.raises(RuntimeError, match="the dispatcher died"):
            await a.task
        assert await until(lambda: b.works, 5) < 3
        await b.stop()

    run(scenario())


def test_a_renewal_whose_reply_was_lost_does_not_end_the_term() -> None:
    async def scenario() -> None:
        store = MemoryLease()
        a = Candidate(store, "a")
        await until(lambda: a.works, 5)
        store.loses_replies = True
        await asyncio.sleep(5)
        store.loses_replies = False
        await asyncio.sleep(20)
        assert a.works
        assert len(a.terms) == 1
        await a.stop()

    run(scenario())


def test_a_leader_that_was_replaced_by_hand_stops_at_its_next_renewal() -> None:
    async def scenario() -> None:
        store = MemoryLease()
        a = Candidate(store, "a")
        await until(lambda: a.works, 5)
        assert store.record is not None
        store.record = replace(store.record, holder="somebody", version="77")
        assert await until(lambda: not a.works, 10) < 3
        assert store.record.holder == "somebody"
        await a.stop()

    run(scenario())


def test_settings_that_leave_no_time_to_stop_are_refused() -> None:
    with pytest.raises(ValueError, match="retry < renew deadline < lease"):
        ElectorSettings(lease_seconds=10, renew_deadline_seconds=10)
