"""The promise of docs/troubleshooting.md: who holds a lock on one table, or makes it slow, full or broken,
holds up no other source.
"""

import pytest

from tests.proof.hundred_sources import WITHOUT_BUDGETS, Waits, measure

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def bound_seconds(calm: Waits) -> float:
    """Half a second; where other tests share the machine, three times what the same sources take without any
    trouble beside them.
    """
    return max(0.5, 3 * calm.p99)


def test_beside_twenty_locked_slow_full_or_broken_sources_the_others_have_their_outcomes_within_half_a_second(
    database: str, redis_url: str
) -> None:
    calm, waits = measure(database, redis_url, seconds=15, turn_seconds=5, calm_seconds=4)
    assert waits.unfinished == 0
    assert waits.p99 < bound_seconds(calm), (calm, waits)


def test_without_budgets_the_others_wait_for_them(database: str, redis_url: str) -> None:
    calm, waits = measure(
        database, redis_url, seconds=6, turn_seconds=6, calm_seconds=3, settings=WITHOUT_BUDGETS
    )
    assert waits.p99 > bound_seconds(calm), (calm, waits)
