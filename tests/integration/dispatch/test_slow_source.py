"""A source whose looks take seconds (no index, a million rows of a throttled key) delays nobody else."""

import time

import pytest
import redis

from rowlock_operator.dispatch.database import DispatchSettings
from rowlock_operator.dispatch.feeder import FeederSettings
from rowlock_operator.dispatch.tables import TablesSettings
from rowlock_operator.rows.pool import DEFAULT_PATIENCE
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import BareRunner, add_orders, create_orders, dispatching, order_plan, statuses

pytestmark = pytest.mark.integration
LOOK_SECONDS = 3.0


def longest_wait_beside_a_slow_source(url: str, redis_url: str, settings: DispatchSettings) -> float:
    """Of rows of a quick source, while a slow one is registered and looked at again and again, the first time
    included.
    """
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
        waits = []
        for number in range(1, 7):
            began = time.monotonic()
            add_orders(url, 1)
            wait_until(
                lambda expected=number: client.llen("rq:queue:default.orders") == expected,
                "the row is queued",
                20,
            )  # type: ignore[misc]
            waits.append(time.monotonic() - began)
            if waits[-1] > LOOK_SECONDS / 2:
                break  # no later row makes it shorter
            next_at = time.monotonic() + 0.4
            wait_until(lambda at=next_at: time.monotonic() > at, "another moment of the slow look")  # type: ignore[misc]
        return max(waits)


def test_rows_of_other_sources_do_not_wait_for_a_slow_look(database: str, redis_url: str) -> None:
    assert longest_wait_beside_a_slow_source(database, redis_url, DispatchSettings()) < LOOK_SECONDS / 2


def test_with_patience_in_passing_it_holds_up_everybody(database: str, redis_url: str) -> None:
    patient = DispatchSettings(
        feeder=FeederSettings(poll_patience=DEFAULT_PATIENCE, glance=DEFAULT_PATIENCE),
        tables=TablesSettings(tiers=(DEFAULT_PATIENCE,)),
    )
    assert longest_wait_beside_a_slow_source(database, redis_url, patient) > LOOK_SECONDS / 2


def test_a_row_whose_trigger_takes_long_is_given_its_time_and_not_refused(
    database: str, redis_url: str
) -> None:
    create_orders(database)
    with connect(database) as cur:
        cur.execute(
            "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.7);"
            " return new; end $$"
        )
        cur.execute("create trigger slow before update on orders for each row execute function slow()")
    add_orders(database, 2)
    with dispatching(database, redis_url) as bench, BareRunner(database, redis_url, lambda args: None):
        bench.source()
        wait_until(lambda: statuses(database) == {"done": 2}, "both are done and told", 40)
        entry = bench.dispatcher.state.sources["default/orders"]
        assert not entry.refused
        assert entry.error is None
