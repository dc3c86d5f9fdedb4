"""The stage of a worker test, and servers of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.jobs.stage import Stage
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer


@pytest.fixture
def stage(database: str, redis_url: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(database, redis_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that this test may kill."""
    server = RedisServer().start()
    yield server
    server.stop()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that this test may kill."""
    server = PostgresServer().start()
    yield server
    server.stop()
