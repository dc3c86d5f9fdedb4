"""A database that hangs: who asks it gives up in time, who comes later does not wait at all, and others never
notice.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rowlock_operator.dispatch.threads import THREADS, DatabaseThreads
from rowlock_operator.errors import GiveUp, RetryLater


@contextmanager
def databases(*patience_seconds: float) -> Iterator[tuple[list[DatabaseThreads], threading.Event]]:
    """One for each patience, and what ends that their database hangs."""
    answers, made = (
        threading.Event(),
        [
            DatabaseThreads(f"d{number}", patience_seconds=each)
            for number, each in enumerate(patience_seconds)
        ],
    )
    try:
        yield made, answers
    finally:
        answers.set()
        for each in made:
            each.close()


def test_nobody_waits_long_for_a_database_that_hangs_and_nobody_at_all_for_another() -> None:
    async def scenario() -> None:
        with databases(0.2, 30.0) as ((dead, alive), answers):
            asked = [asyncio.create_task(dead.ask(answers.wait)) for _ in range(2 * THREADS)]
            assert await alive.ask(lambda: 1) == 1
            gave_up = await asyncio.gather(*asked, return_exceptions=True)
            assert all(
                isinstance(each, RetryLater) and "has not answered for" in str(each) for each in gave_up
            )
            loop = asyncio.get_running_loop()
            with pytest.raises(RetryLater):
                await dead.ask(answers.wait)
            assert dead._asked == 2 * THREADS, "it was not even asked again"
            answers.set()
            async with asyncio.timeout(20):
                while dead._asked:
                    await asyncio.sleep(0.01)
                assert await dead.ask(loop.time) > 0

    asyncio.run(scenario())


def test_a_refusal_is_an_answer() -> None:
    async def scenario() -> None:
        def refused() -> None:
            raise GiveUp("no", "No")

        def away() -> None:
            raise RetryLater("connection refused")

        with databases(30.0) as ((database,), _answers):
            for work, error in ((refused, GiveUp), (away, RetryLater)):
                with pytest.raises(error):
                    await database.ask(work)
            assert not database._silent

    asyncio.run(scenario())


def test_a_database_that_was_closed_says_so_as_one_that_is_away() -> None:
    async def scenario() -> None:
        with databases(30.0) as ((database,), _answers):
            database.close()
            with pytest.raises(RetryLater, match="not in use any more"):
                await database.ask(lambda: 1)

    asyncio.run(scenario())
