"""One control plane with controllers, one PostgreSQL and one Redis for this folder, because its tests stop
and freeze them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.operator.orders import QUEUE, SOURCE
from tests.services.kube import KubeControlPlane, serving_definitions
from tests.services.operator_room import OperatorRoom
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.rows import create_orders, statuses


@pytest.fixture(scope="session")
def plane() -> Iterator[KubeControlPlane]:
    with serving_definitions(controller_manager=True) as made:
        yield made


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def own_redis() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.stop()


@pytest.fixture
def new_room(
    plane: KubeControlPlane, own_postgres: PostgresServer, own_redis: RedisServer, tmp_path: Path
) -> Iterator[Callable[[], OperatorRoom]]:
    """Makes a room with a fresh database (the operator itself makes the ledger)."""
    own_redis.flush()
    made: list[OperatorRoom] = []

    def make() -> OperatorRoom:
        folder = tmp_path / f"room-{len(made)}" if made else tmp_path
        folder.mkdir(exist_ok=True)
        made.append(OperatorRoom(plane, own_postgres.new_database(ledger=False), own_redis.url, folder))
        return made[-1]

    yield make
    for room in made:
        room.close()


@pytest.fixture
def room(new_room: Callable[[], OperatorRoom]) -> OperatorRoom:
    return new_room()


@pytest.fixture
def make_flowing(new_room: Callable[[], OperatorRoom]) -> Callable[..., OperatorRoom]:
    """Makes a room with rows that are done, an operator (with what is otherwise in it), a worker."""

    def make(otherwise: str = "") -> OperatorRoom:
        room = new_room()
        create_orders(room.url, rows=20)
        room.create(QUEUE)
        room.create(SOURCE)
        room.operator(ready=False, otherwise=otherwise)
        room.worker("orders", ready=False)
        wait_until(lambda: statuses(room.url) == {"done": 20}, "the first rows are done", 40)
        return room

    return make


@pytest.fixture
def flowing(make_flowing: Callable[..., OperatorRoom]) -> OperatorRoom:
    return make_flowing()
