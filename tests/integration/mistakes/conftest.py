"""One installation for the whole folder; after each test the source that is well must still be served."""

from collections.abc import Iterator

import pytest

from tests.integration.mistakes.stage import Stage
from tests.services.kube import KubeControlPlane
from tests.services.operator_room import OperatorRoom
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[PostgresServer]:
    """Roles and passwords are made here that no other test should meet."""
    server = PostgresServer().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def own_redis() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shop(
    kube_control_plane: KubeControlPlane,
    own_postgres: PostgresServer,
    own_redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    room = OperatorRoom(
        kube_control_plane,
        own_postgres.new_database(ledger=False),
        own_redis.url,
        tmp_path_factory.mktemp("shop"),
    )
    try:
        yield Stage(room)
    finally:
        room.close()


@pytest.fixture
def stage(shop: Stage) -> Iterator[Stage]:
    yield shop
    shop.others_are_served()
    assert shop.operator.alive
    assert "Traceback" not in shop.operator.log.read_text()
