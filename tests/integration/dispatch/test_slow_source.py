"""A source whose looks take seconds (no index, a million rows of a throttled key) delays nobody else."""

import time

import pytest
import redis

from rowlock_operator.dispatch.database import DispatchSettings
from rowlock_operator.dispatch.feeder import FeederSettings
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import add_orders, create_orders, dispatching, order_plan

pytestmark = pytest.mark.integration
LOOK_SECONDS = 2.0


def longest_wait_beside_a_slow_source(url: str, redis_url: str, *, slow_seconds: float) -> float:
    """Of rows of a quick source, while a slow one is looked at again and again. The first slow look cannot be foreseen and is not counted."""
    settings = DispatchSettings(feeder=FeederSettings(slow_seconds=slow_seconds))
    create_orders(url)
    with connect(url) as cur:
        cur.execute("create table slow(id int primary key, status text default 'new')")
        cur.execute("insert into slow(id) values (1)")
    slow = order_plan(
        name="default/slow",
        table="slow",
        pending=f"status = 'new' and pg_sleep({LOOK_SECONDS})::text is null",
        arguments=(("id", "id"),),
        error_column=None,
    )
    with redis.Redis.from_url(redis_url) as client, dispatching(url, redis_url, settings=settings) as bench:
        bench.source()
        bench.source(slow)
        entry = bench.dispatcher.state.sources["default/slow"]
        wait_until(lambda: entry.slow or slow_seconds > LOOK_SECONDS, "the slow source has been looked at", 20)
        waits = []
        for number in range(1, 7):
            began = time.monotonic()
            add_orders(url, 1)
            wait_until(lambda expected=number: client.llen("rq:queue:default.orders") == expected, "the row is queued", 20)  # type: ignore[misc]
            waits.append(time.monotonic() - began)
            next_at = time.monotonic() + 0.4
            wait_until(lambda at=next_at: time.monotonic() > at, "another moment of the slow look")  # type: ignore[misc]
        return max(waits)


def test_rows_of_other_sources_do_not_wait_for_a_slow_look(database: str, redis_url: str) -> None:
    assert longest_wait_beside_a_slow_source(database, redis_url, slow_seconds=0.2) < LOOK_SECONDS / 2


def test_without_a_thread_of_its_own_it_holds_up_everybody(database: str, redis_url: str) -> None:
    assert longest_wait_beside_a_slow_source(database, redis_url, slow_seconds=60) > LOOK_SECONDS / 2
