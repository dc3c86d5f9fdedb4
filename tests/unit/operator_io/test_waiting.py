"""Whoever waits for an event in a loop ends when it is cancelled, also in the very moment of the event."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from rowlock_operator.dispatch.waiting import set_within


async def by_wait_for(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def ends_when_cancelled(wait: Callable[[asyncio.Event, float], Awaitable[bool]]) -> bool:
    """Whether a loop of such waits ends though the event comes in the turn in which it is cancelled, and a
    few turns around that.
    """

    async def scenario(turns: int) -> bool:
        event = asyncio.Event()

        async def loop() -> None:
            while True:
                await wait(event, 60)
                event.clear()

        task = asyncio.create_task(loop())
        await asyncio.sleep(0.001)
        event.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0.2)
        task.cancel()
        await asyncio.wait([task])
        return bool(done)

    return all(asyncio.run(scenario(turns)) for turns in range(4))


def test_a_wait_in_a_loop_ends_when_it_is_cancelled_in_the_moment_of_the_event() -> None:
    assert ends_when_cancelled(set_within)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="mended there")
def test_with_wait_for_the_cancellation_is_lost_and_the_loop_goes_on() -> None:
    """The negative twin."""
    assert not ends_when_cancelled(by_wait_for)


def test_it_says_whether_the_event_came_in_time() -> None:
    async def scenario() -> tuple[bool, bool]:
        event = asyncio.Event()
        late = await set_within(event, 0.01)
        event.set()
        return late, await set_within(event, 0.01)

    assert asyncio.run(scenario()) == (False, True)
