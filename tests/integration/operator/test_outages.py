"""The stores and the API server go away and come back, as processes that are killed, stopped or frozen; the operator says so and recovers by itself."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.kube import KubeControlPlane
from tests.services.manifests import STATUS_COLUMN, row_source, work_queue
from tests.services.operator import OperatorRoom
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.rows import add_orders, create_orders, statuses

pytestmark = pytest.mark.integration

QUEUE = work_queue("orders", imports=["tests.services.journal_tasks"], tasks=["count"])
SOURCE = row_source("orders", workQueueRef={"name": "orders"}, task="count", statusColumn=STATUS_COLUMN)


@pytest.fixture
def mortal_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer().start()
    yield server
    server.stop()


@pytest.fixture
def flowing(new_room: Callable[[], OperatorRoom]) -> OperatorRoom:
    """Rows that are done, an operator, a worker."""
    room = new_room()
    create_orders(room.url, rows=20)
    room.create(QUEUE)
    room.create(SOURCE)
    room.operator(ready=False)
    room.worker("orders", ready=False)
    wait_until(lambda: statuses(room.url) == {"done": 20}, "the first rows are done", 40)
    return room


def every_row_ran_once(room: OperatorRoom, rows: int) -> None:
    begun = [(line.run, line.attempt) for line in room.journal.lines()]
    assert len(begun) == len(set(begun)) == rows
    assert [(state, attempt) for _, state, attempt, _, _ in room.runs()] == [("succeeded", 1)] * rows


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
        room.wait_condition("RowSource", "orders", status="False", reason="DatabaseUnreachable", deadline_seconds=60)
        assert operator.page("/livez")[0] == 200, "a database that is away is no reason to restart the operator"
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
        flowing.wait_condition("WorkQueue", "orders", status="False", reason="RedisUnreachable", deadline_seconds=40)
    finally:
        own_redis.start()
    wait_until(lambda: statuses(flowing.url) == {"done": 40}, "the rows are done", 40)
    flowing.wait_condition("WorkQueue", "orders", status="True", deadline_seconds=40)
    every_row_ran_once(flowing, 40)


def test_rows_flow_and_new_objects_are_seen_after_the_api_server_was_killed(flowing: OperatorRoom, plane: KubeControlPlane) -> None:
    operator = flowing.leader()
    plane.stop_api_server()
    try:
        add_orders(flowing.url, 20)
        wait_until(lambda: statuses(flowing.url) == {"done": 40}, "rows need no API server", 20)
    finally:
        plane.start_api_server()
    flowing.create(row_source("more", workQueueRef={"name": "orders"}, task="count", columns=["id"], pending="amount < 6"))
    flowing.wait_condition("RowSource", "more", status="True", deadline_seconds=60)
    wait_until(lambda: len(flowing.runs()) == 50, "the new source's ten rows ran", 30)
    assert operator.alive
    assert operator.page("/livez")[0] == 200


@pytest.mark.slow
def test_after_an_outage_longer_than_the_lease_the_operator_leads_again(flowing: OperatorRoom, plane: KubeControlPlane) -> None:
    flowing.leader()
    plane.stop_api_server()
    try:
        wait_until(lambda: not flowing.operators[0].leads(), "it gave its leadership up", 30)
    finally:
        plane.start_api_server()
    add_orders(flowing.url, 20)
    wait_until(lambda: statuses(flowing.url) == {"done": 40}, "rows flow again", 60)
    every_row_ran_once(flowing, 40)


@pytest.mark.slow
def test_a_frozen_api_server_is_told_by_the_liveness_probe_and_forgotten_once_it_thaws(
    flowing: OperatorRoom, plane: KubeControlPlane
) -> None:
    operator = flowing.leader()
    assert operator.page("/livez")[0] == 200
    plane.freeze_api_server()
    frozen = time.monotonic()
    try:
        wait_until(lambda: operator.page("/livez")[0] == 503, "liveness fails", 240)
        took = time.monotonic() - frozen
    finally:
        plane.thaw_api_server()
    assert 60 < took < 200, "sooner would restart a healthy operator"
    wait_until(lambda: operator.page("/livez")[0] == 200, "liveness is well again", 60)
