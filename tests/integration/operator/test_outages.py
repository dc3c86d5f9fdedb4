"""The stores and the API server go away and come back, as processes that are killed, stopped or frozen; the
operator says so and recovers by itself.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.operator.orders import QUEUE, SOURCE, every_row_ran_once
from tests.services.kube import KubeControlPlane
from tests.services.manifests import row_source
from tests.services.operator_room import OperatorRoom, counted_for
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.rows import add_orders, create_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def mortal_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer().start()
    yield server
    server.stop()


def test_a_database_that_is_away_at_the_start_and_later_is_told_and_recovered_from(
    plane: KubeControlPlane, mortal_postgres: PostgresServer, own_redis: RedisServer, tmp_path: Path
) -> None:
    own_redis.flush()
    room = OperatorRoom(plane, mortal_postgres.new_database(ledger=False), own_redis.url, tmp_path)
    try:
        create_orders(room.url, rows=20)
        mortal_postgres.kill()
        room.create(QUEUE)
        room.create(SOURCE)
        operator = room.operator()
        room.worker("orders", ready=False)
        condition = room.wait_condition("WorkQueue", "orders", status="False", reason="DatabaseUnreachable")
        assert "127.0.0.1" in condition["message"]
        mortal_postgres.start()
        wait_until(lambda: statuses(room.url) == {"done": 20}, "the rows are done", 40)
        mortal_postgres.kill()
        room.wait_condition(
            "RowSource", "orders", status="False", reason="DatabaseUnreachable", deadline_seconds=60
        )
        assert operator.page("/livez")[0] == 200, (
            "a database that is away is no reason to restart the operator"
        )
        mortal_postgres.start()
        add_orders(room.url, 20)
        wait_until(lambda: statuses(room.url) == {"done": 40}, "the later rows are done", 40)
        for kind in ("WorkQueue", "RowSource"):
            room.wait_condition(kind, "orders", status="True", deadline_seconds=60)
        assert operator.alive
        every_row_ran_once(room, 40)
    finally:
        room.close()


def test_redis_that_is_away_is_told_and_recovered_from(flowing: OperatorRoom, own_redis: RedisServer) -> None:
    own_redis.kill()
    try:
        add_orders(flowing.url, 20)
        flowing.wait_condition(
            "WorkQueue", "orders", status="False", reason="RedisUnreachable", deadline_seconds=40
        )
    finally:
        own_redis.start()
    wait_until(lambda: statuses(flowing.url) == {"done": 40}, "the rows are done", 40)
    flowing.wait_condition("WorkQueue", "orders", status="True", deadline_seconds=40)
    every_row_ran_once(flowing, 40)


def test_rows_flow_and_new_objects_are_seen_after_the_api_server_was_killed(
    flowing: OperatorRoom, plane: KubeControlPlane
) -> None:
    operator = flowing.leader()
    plane.stop_api_server()
    try:
        add_orders(flowing.url, 20)
        wait_until(lambda: statuses(flowing.url) == {"done": 40}, "rows need no API server", 20)
    finally:
        plane.start_api_server()
    flowing.create(
        row_source(
            "more", workQueueRef={"name": "orders"}, task="count", columns=["id"], pending="amount < 6"
        )
    )
    flowing.wait_condition("RowSource", "more", status="True", deadline_seconds=60)
    wait_until(lambda: len(flowing.runs()) == 50, "the new source's ten rows ran", 30)
    assert operator.alive
    assert operator.page("/livez")[0] == 200


def test_edits_are_obeyed_and_statuses_written_no_more_than_needed_after_etcd_was_restored(
    flowing: OperatorRoom, plane: KubeControlPlane
) -> None:
    """Versions go back: what is listed then looks older than what was known, and every reply to a
    write, too.
    """
    snapshot = plane.snapshot_etcd()
    for number in range(60):  # far more versions than the restored history will have for a while
        flowing.change("RowSource", "orders", orderBy=["id"] if number % 2 else ["id desc"])
    flowing.create(
        row_source(
            "later", workQueueRef={"name": "orders"}, task="count", columns=["id"], pending="amount < 6"
        )
    )
    flowing.wait_condition("RowSource", "later", status="True", deadline_seconds=60)
    plane.restore_etcd(snapshot)
    flowing.change("WorkQueue", "orders", suspend=True)
    flowing.wait_condition("WorkQueue", "orders", "Suspended", status="True", deadline_seconds=90)
    add_orders(flowing.url, 20)
    wait_until(
        lambda: flowing.sql("select count(*) from rowlock.source where retired_at is not null") == [(1,)],
        "one is gone",
        90,
    )
    assert counted_for(5, flowing.status_writes) <= 4
    assert statuses(flowing.url)["done"] == 20, "nothing of a suspended queue is begun"
    flowing.change("WorkQueue", "orders", suspend=False)
    wait_until(lambda: statuses(flowing.url) == {"done": 40}, "the rows are done", 60)
