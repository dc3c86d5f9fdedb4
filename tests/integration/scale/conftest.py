"""A control plane, a PostgreSQL and a Redis for this folder: what is written there, only the operator under
test has written.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.population import control_plane
from tests.services.kube import KubeControlPlane
from tests.services.operator_room import OperatorRoom
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer


@pytest.fixture(scope="session")
def quiet_plane() -> Iterator[KubeControlPlane]:
    plane = control_plane()
    yield plane
    plane.stop()


@pytest.fixture
def room(quiet_plane: KubeControlPlane, tmp_path: Path) -> Iterator[OperatorRoom]:
    postgres, redis = PostgresServer(), RedisServer()
    try:
        postgres.start()
        redis.start()
        room = OperatorRoom(quiet_plane, postgres.new_database(ledger=False), redis.url, tmp_path)
        yield room
        room.close()
    finally:
        redis.stop()
        postgres.stop()
