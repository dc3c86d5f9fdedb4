"""The hint: whoever adds a row ends the dispatcher's pause, while it asks for that; where there is no hint,
the poll finds the row.
"""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from rowlock_operator.dispatch.claimer import ClaimerSettings
from rowlock_operator.dispatch.database import DispatchSettings
from rowlock_operator.rows.hint import HintListener
from rowlock_operator.rows.pool import Pool
from tests.services.pgbouncer import PgBouncer
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import QUEUE, add_orders, create_orders, dispatching

pytestmark = pytest.mark.integration

PAUSE_SECONDS = 4.0
TRIGGER = (
    "create trigger orders_hint after insert on orders for each statement execute function rowlock.hint_v1()"
)
ASKED = (
    "select count(*) from pg_locks where locktype = 'advisory' and classid = 7700 and objid = 3 and mode ="
    " 'ExclusiveLock' and granted"
)


def lazy(*, hint: bool = True) -> DispatchSettings:
    """A dispatcher that by itself looks every few seconds only."""
    return DispatchSettings(claimer=ClaimerSettings(busy_seconds=0.02, idle_seconds=PAUSE_SECONDS, hint=hint))


def value(url: str, statement: str, *parameters: Any) -> Any:
    with connect(url) as cur:
        cur.execute(statement, parameters or None)
        return cur.fetchone()[0]


def seconds_until_queued(url: str, redis_url: str, add: Any, *, hint: bool = True) -> float:
    """From the commit that `add` makes to the id in Redis, in a dispatcher that has just begun a long
    pause.
    """
    with (
        redis.Redis.from_url(redis_url) as client,
        dispatching(url, redis_url, settings=lazy(hint=hint)) as bench,
    ):
        bench.source()
        add_orders(url, 1)
        wait_until(lambda: client.llen("rq:queue:default.orders") == 1, "the dispatcher works", 15)
        if hint:
            wait_until(lambda: value(url, ASKED) == 1, "it asks for hints")
        paused = time.monotonic() + 0.3  # it looks once more after a row, then pauses
        wait_until(lambda: time.monotonic() > paused, "its long pause has begun")
        began = time.monotonic()
        add()
        wait_until(lambda: client.llen("rq:queue:default.orders") == 2, "the row is queued", 15)
        return time.monotonic() - began


@pytest.fixture
def listener(database: str) -> Iterator[HintListener]:
    pool = Pool(database)
    made = HintListener(pool, threading.Event())
    yield made
    made.close()
    pool.close()


def test_a_row_of_a_table_with_the_trigger_does_not_wait_for_the_poll(database: str, redis_url: str) -> None:
    create_orders(database)
    with connect(database) as cur:
        cur.execute(TRIGGER)
    assert seconds_until_queued(database, redis_url, lambda: add_orders(database, 1)) < 1.5


def test_where_nobody_listens_the_same_row_waits_for_the_end_of_the_pause(
    database: str, redis_url: str
) -> None:
    create_orders(database)
    with connect(database) as cur:
        cur.execute(TRIGGER)
    assert seconds_until_queued(database, redis_url, lambda: add_orders(database, 1), hint=False) > 2


def test_a_run_that_is_enqueued_by_hand_does_not_wait_for_the_poll(database: str, redis_url: str) -> None:
    create_orders(database)
    with connect(database) as cur:
        cur.execute(TRIGGER)
    assert (
        seconds_until_queued(
            database, redis_url, lambda: value(database, "select rowlock.enqueue_v1(%s, 'bill')", QUEUE)
        )
        < 1.5
    )


def test_behind_pgbouncer_rows_are_found_by_polling_and_nothing_is_left_in_its_sessions(
    database: str, redis_url: str, pgbouncer: PgBouncer
) -> None:
    create_orders(database)
    with connect(database) as cur:
        cur.execute(TRIGGER)
    url = pgbouncer.url(database)
    with redis.Redis.from_url(redis_url) as client, dispatching(url, redis_url) as bench:
        bench.source()
        add_orders(url, 5)
        wait_until(lambda: client.llen("rq:queue:default.orders") == 5, "the rows are queued")
        assert bench.dispatcher.state.errors == {}
        assert value(database, ASKED) == 0
        assert value(url, "select count(*) from pg_listening_channels()") == 0


def test_rows_that_do_not_wait_are_soon_hinted_at_no_more_and_later_again(
    database: str, redis_url: str
) -> None:
    """An insert with a NOTIFY is half as fast among many; for rows that are no work it would be for
    nothing.
    """
    create_orders(database)
    with connect(database) as cur, dispatching(database, redis_url) as bench:
        cur.execute(TRIGGER)
        bench.source()
        wait_until(lambda: value(database, ASKED) == 1, "it asks for hints")

        def asked_after_another() -> bool:
            cur.execute("insert into orders(customer, amount, status) values ('Ada', 1, 'held')")
            return bool(value(database, ASKED))

        wait_until(lambda: not asked_after_another(), "it asks no more")
        wait_until(lambda: value(database, ASKED) == 1, "it asks again")


def test_nobody_notifies_while_nobody_asks(database: str, listener: HintListener) -> None:
    create_orders(database)
    with connect(database) as cur:
        cur.execute(TRIGGER)
    listener.ask(True)
    add_orders(database, 1)
    assert listener.wait(5)
    listener.ask(False)
    add_orders(database, 1)
    assert not listener.wait(0.3)
    listener.ask(True)
    add_orders(database, 1)
    assert listener.wait(5)


def test_a_transaction_can_keep_from_hinting(database: str, listener: HintListener) -> None:
    create_orders(database)
    listener.ask(True)
    with connect(database) as cur:
        cur.execute(TRIGGER)
        cur.execute("set rowlock.hint = off")
        cur.execute("insert into orders(customer, amount) values ('Ada', 1)")
        assert not listener.wait(0.3)
        cur.execute("reset rowlock.hint")
        cur.execute("insert into orders(customer, amount) values ('Ada', 1)")
    assert listener.wait(5)


def test_a_listener_whose_session_was_ended_lets_waits_last_and_asks_for_nothing(
    database: str, listener: HintListener
) -> None:
    listener.ask(True)
    assert value(database, ASKED) == 1
    value(
        database,
        "select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and classid = 7700"
        " and objid = 3",
    )
    wait_until(lambda: not (listener.wait(0.1) or listener.listening), "it knows")
    assert not listener.wait(0.05)
    assert value(database, ASKED) == 0
