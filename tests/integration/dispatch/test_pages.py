"""Every scan with a limit goes on where it ended: what is far behind is found, too."""

from typing import Any

import pytest
import redis

from rowlock_operator.dispatch.database import DispatchSettings, LimitRule
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.dispatch.sweeper import SweeperSettings
from rowlock_operator.rows.ledger import Ledger, StaleClaim
from rowlock_operator.rows.source import Source
from rowlock_operator.rows.source_table import SourceLimitKey
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import Bench, add_orders, create_orders, dispatching, order_plan

pytestmark = pytest.mark.integration
SETTINGS = DispatchSettings(
    sweeper=SweeperSettings(every_seconds=0.2, stale_seconds=0.2, page=50, vanished_seconds=0.2)
)


def a_lost_id(bench: Bench, url: str, client: redis.Redis) -> None:
    """An id that somebody took out of Redis and never started, behind many that rightly wait there."""
    for number in range(4):
        name = f"default/idle{number}"
        bench.dispatcher.register_queue(
            QueueEntry(0, name, False, False, 600), retry={}, succeeded_seconds=60, dead_seconds=60
        )
        with connect(url) as cursor:
            cursor.execute("select count(rowlock.enqueue_v1(%s, 't')) from generate_series(1, 60)", (name,))
        wait_until(
            lambda of=f"rq:queue:default.idle{number}": client.llen(of) == 60, "all of them are claimed"
        )  # type: ignore[misc]
    bench.source()
    add_orders(url, 1)
    wait_until(lambda: client.lpop("rq:queue:default.orders"), "the id is taken")


def test_a_lost_id_is_found_however_many_wait_in_other_queues(database: str, redis_url: str) -> None:
    create_orders(database)
    with (
        redis.Redis.from_url(redis_url) as client,
        dispatching(database, redis_url, settings=SETTINGS) as bench,
    ):
        a_lost_id(bench, database, client)
        wait_until(lambda: client.llen("rq:queue:default.orders") == 1, "the id is back", 10)


def test_a_sweep_that_begins_anew_each_time_never_finds_it(
    database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Ledger.stale_claims

    def first_page(self: Ledger, *, seconds: float, after: StaleClaim | None, n: int) -> list[StaleClaim]:
        return whole(self, seconds=seconds, after=None, n=n)

    monkeypatch.setattr(Ledger, "stale_claims", first_page)
    create_orders(database)
    with (
        redis.Redis.from_url(redis_url) as client,
        dispatching(database, redis_url, settings=SETTINGS) as bench,
    ):
        a_lost_id(bench, database, client)
        with pytest.raises(AssertionError):
            wait_until(lambda: client.llen("rq:queue:default.orders") == 1, "the id is back", 2)


def deleted_far_behind(bench: Bench, url: str) -> None:
    """Rows whose runs wait, deleted: all but the first ones that a scan meets."""
    bench.source(order_plan(limits=(SourceLimitKey("x", None),)), [LimitRule("all", None, 1, None, None)])
    waiting = "select count(*) from rowlock.active where source_key is not null"
    wait_until(lambda: counted(url, waiting) == 400, "all rows are in the ledger")
    with connect(url) as cursor:
        cursor.execute(
            "delete from orders where id in (select source_key::bigint from rowlock.active order by"
            " source_key offset 200)"
        )


def counted(url: str, query: str) -> Any:
    with connect(url) as cursor:
        cursor.execute(query)
        return (cursor.fetchone() or (None,))[0]


def test_rows_deleted_far_behind_are_not_run(database: str, redis_url: str) -> None:
    create_orders(database, rows=400)
    with dispatching(database, redis_url, settings=SETTINGS) as bench:
        deleted_far_behind(bench, database)
        wait_until(
            lambda: counted(database, "select count(*) from rowlock.active") == 200,
            "all of them are canceled",
            10,
        )
        assert (
            counted(
                database, "select count(*) from rowlock.done where failure->>'reason' = 'SourceRowDeleted'"
            )
            == 200
        )


def test_a_scan_of_the_first_page_alone_never_finds_them(
    database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Source.vanished
    monkeypatch.setattr(Source, "vanished", lambda self, n, after: whole(self, n, None))
    create_orders(database, rows=400)
    with dispatching(database, redis_url, settings=SETTINGS) as bench:
        deleted_far_behind(bench, database)
        with pytest.raises(AssertionError):
            wait_until(
                lambda: counted(database, "select count(*) from rowlock.active") == 200,
                "all of them are canceled",
                2,
            )
