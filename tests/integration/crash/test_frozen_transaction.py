"""A dispatcher that is frozen, or cut off, between two statements of a transaction must not keep the
claimer's lock from its successor.
"""

import pytest

from rowlock_operator.errors import RetryLater
from rowlock_operator.rows.pool import Pool
from tests.services.postgres import connect
from tests.services.process import wait_until

pytestmark = pytest.mark.integration

LOCK = "select rowlock.claimer_lock()"


@pytest.mark.slow
def test_the_claimers_lock_of_a_frozen_dispatcher_is_free_within_fifteen_seconds(database: str) -> None:
    pool = Pool(database, 1)
    try:
        with pytest.raises(RetryLater), pool.transaction("a round") as cursor:
            cursor.execute(LOCK)
            assert cursor.fetchone() == (True,)
            with connect(database) as successor:

                def free() -> bool:
                    successor.execute(LOCK)
                    return bool(successor.fetchone()[0])

                assert not free()
                wait_until(free, "the successor is the claimer", 15)
            cursor.execute(LOCK)  # the frozen one wakes: its transaction is gone, and it is told so
        with pool.transaction("the next round") as cursor:
            cursor.execute(LOCK)
            assert cursor.fetchone() == (True,)
    finally:
        pool.close()
