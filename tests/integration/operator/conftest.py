"""One control plane with controllers, one PostgreSQL and one Redis for this folder, because its tests stop and freeze them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.operator.orders import QUEUE, SOURCE
from tests.services.kube import KubeControlPlane
from tests.services.operator import OperatorRoom
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.rows import create_orders, statuses

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="session")
def plane() -> Iterator[KubeControlPlane]:
    made = KubeControlPlane(controller_manager=True).start()
    try:
        for arguments in (("apply", "--server-side"), ("wait", "--for=condition=Established", "--timeout=30s")):
            done = made.kubectl(*arguments, "-f", str(CRDS))
            assert done.returncode == 0, done.stderr
        yield made
    finally:
        made.stop()


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
        made.append(OperatorRoom(plane, own_postgres.new_database(ledger=False), own_redis.url, tmp_path))
        return made[-1]

    yield make
    for room in made:
        room.close()


@pytest.fixture
def room(new_room: Callable[[], OperatorRoom]) -> OperatorRoom:
    return new_room()


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
