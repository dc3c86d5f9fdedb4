"""The keyed queue, in virtual time."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowlock_operator.errors import RetryLater
from rowlock_operator.reconcile.key_queue import KeyQueue, KeyQueueSettings
from tests.unit.operator_io.virtual_time import run


class Desk:
    """A queue whose handler takes its time and notes who was there."""

    def __init__(self, work_seconds: float = 1.0, **options: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.work_seconds = work_seconds
        self.looks: list[tuple[str, float]] = []
        self.inside: dict[str, int] = {}
        self.most_inside = 0
        self.failing: set[str] = set()
        self.asked_seconds: float | None = None
        self.again: dict[str, float] = {}
        self.queue: KeyQueue[str] = KeyQueue(
            settings=KeyQueueSettings(**{"workers": 3, **options}),  # type: ignore[arg-type]
            rng=random.Random(1),
            clock=self.loop.time,
        )
        self.task = asyncio.create_task(self.queue.run(self.handle))

    async def handle(self, key: str) -> float | None:
        self.looks.append((key, self.loop.time()))
        self.inside[key] = self.inside.get(key, 0) + 1
        self.most_inside = max(self.most_inside, *self.inside.values())
        try:
            await asyncio.sleep(self.work_seconds)
        finally:
            self.inside[key] -= 1
        if key in self.failing:
            raise RetryLater("not yet", self.asked_seconds)
        return self.again.pop(key, None)

    def times(self, key: str) -> list[float]:
        return [at - 1000.0 for each, at in self.looks if each == key]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        self.queue.close()


def test_adding_a_key_many_times_before_it_is_looked_at_is_one_look() -> None:
    async def scenario() -> None:
        desk = Desk()
        for _ in range(100):
            desk.queue.add("a")
        await asyncio.sleep(60)
        assert desk.times("a") == [0.0]
        await desk.stop()

    run(scenario())


def test_a_key_added_while_it_is_looked_at_is_looked_at_once_more_by_nobody_else() -> None:
    async def scenario() -> None:
        desk = Desk(work_seconds=10)
        desk.queue.add("a")
        await asyncio.sleep(1)
        for _ in range(5):
            desk.queue.add("a")
        await asyncio.sleep(60)
        assert desk.times("a") == [0.0, 10.0]
        assert desk.most_inside == 1
        await desk.stop()

    run(scenario())


def test_a_failing_key_is_looked_at_later_and_later_up_to_the_bound_and_at_once_when_something_happens() -> (
    None
):
    async def scenario() -> None:
        desk = Desk(work_seconds=0)
        desk.failing.add("a")
        desk.queue.add("a")
        await asyncio.sleep(3600)
        times = desk.times("a")
        gaps = [later - sooner for sooner, later in zip(times, times[1:], strict=False)]
        for n, gap in enumerate(gaps):
            expected = min(300.0, 0.2 * 2**n)
            assert 0.75 * expected <= gap <= 1.25 * expected
        assert gaps[-1] > 200
        desk.failing.clear()
        desk.queue.add("a")
        before = len(desk.looks)
        await asyncio.sleep(0.001)
        assert len(desk.looks) == before + 1
        assert desk.queue.failing == 0
        await desk.stop()

    run(scenario())


def test_a_key_that_failed_two_thousand_times_still_has_a_backoff() -> None:
    async def scenario() -> None:
        desk = Desk(work_seconds=0)
        desk.failing.add("a")
        desk.queue._failures["a"] = 2000
        desk.queue.add("a")
        await asyncio.sleep(1)
        assert not desk.task.done()
        await desk.stop()

    run(scenario())


def test_what_a_retry_asks_for_wins_over_the_backoff() -> None:
    async def scenario() -> None:
        desk = Desk(work_seconds=0)
        desk.failing.add("a")
        desk.asked_seconds = 7.0
        desk.queue.add("a")
        await asyncio.sleep(15)
        assert desk.times("a") == [0.0, 7.0, 14.0]
        await desk.stop()

    run(scenario())


def test_a_timer_is_brought_forward_and_never_put_back() -> None:
    async def scenario() -> None:
        desk = Desk(work_seconds=0)
        desk.queue.add_after("a", 10)
        desk.queue.add_after("a", 20)
        desk.queue.add_after("b", 10)
        desk.queue.add_after("b", 5)
        desk.again["a"] = 3.0
        await asyncio.sleep(60)
        assert desk.times("a") == [10.0, 13.0]
        assert desk.times("b") == [5.0]
        await desk.stop()

    run(scenario())


def test_a_key_is_not_started_more_often_than_its_interval_allows() -> None:
    async def scenario() -> None:
        desk = Desk(work_seconds=0, min_interval_seconds=1.0)
        for _ in range(50):
            desk.queue.add("a")
            await asyncio.sleep(0.1)
        await asyncio.sleep(5)
        assert desk.times("a") == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], abs=0.01)
        await desk.stop()

    run(scenario())


def test_forgotten_keys_are_not_looked_at_again() -> None:
    async def scenario() -> None:
        desk = Desk(work_seconds=0)
        desk.queue.add_after("a", 5)
        desk.queue.forget("a")
        await asyncio.sleep(60)
        assert desk.times("a") == []
        await desk.stop()

    run(scenario())


def test_workers_that_are_cancelled_leave_their_keys_for_the_next_run() -> None:
    async def scenario() -> None:
        desk = Desk(work_seconds=10)
        for key in "abcde":
            desk.queue.add(key)
        await asyncio.sleep(1)
        desk.task.cancel()
        await asyncio.wait([desk.task])
        assert sum(desk.inside.values()) == 0
        desk.looks.clear()
        desk.task = asyncio.create_task(desk.queue.run(desk.handle))
        await asyncio.sleep(60)
        assert sorted(key for key, _ in desk.looks) == list("abcde")
        await desk.stop()

    run(scenario())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "later", "fail", "heal", "restart", "wait", "forget"]),
        st.sampled_from("abc"),
        st.floats(min_value=0, max_value=5, allow_nan=False),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(min_value=1, max_value=4), st.sampled_from([0.0, 0.7]))
def test_no_key_is_lost_and_none_has_two_workers_whatever_happens(
    steps: list[tuple[str, str, float]], workers: int, min_interval_seconds: float
) -> None:
    async def scenario() -> None:
        desk = Desk(work_seconds=0.3, workers=workers, min_interval_seconds=min_interval_seconds)
        wanted_at: dict[str, float] = {}
        for step, key, seconds in steps:
            if step == "add":
                desk.queue.add(key)
                wanted_at[key] = desk.loop.time()
            elif step == "later":
                desk.queue.add_after(key, seconds)
                wanted_at[key] = max(wanted_at.get(key, 0.0), desk.loop.time())
            elif step == "fail":
                desk.failing.add(key)
            elif step == "heal":
                desk.failing.discard(key)
            elif step == "restart":
                desk.task.cancel()
                await asyncio.wait([desk.task])
                desk.task = asyncio.create_task(desk.queue.run(desk.handle))
            elif step == "forget":
                desk.queue.forget(key)
                wanted_at.pop(key, None)  # its object is gone
            else:
                await asyncio.sleep(seconds)
        desk.failing.clear()
        await asyncio.sleep(1000)
        for key, at in wanted_at.items():
            assert any(look >= at for each, look in desk.looks if each == key), (
                f"{key} was wanted at {at} and never looked at"
            )
        assert desk.most_inside <= 1
        assert len(desk.queue) == 0
        assert not desk.task.done()
        await desk.stop()

    run(scenario())


def test_the_check_above_sees_two_workers_on_a_key_when_the_guard_is_off() -> None:
    """The negative twin: a queue that forgets what is running lets two workers in."""

    async def scenario() -> None:
        desk = Desk(work_seconds=1.0)
        desk.queue.add("a")
        await asyncio.sleep(0.1)
        desk.queue._running.clear()
        desk.queue.add("a")
        await asyncio.sleep(0.1)
        assert desk.most_inside == 2
        desk.task.cancel()
        await asyncio.wait([desk.task])

    run(scenario())
