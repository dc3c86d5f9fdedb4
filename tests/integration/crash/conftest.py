"""Servers of this folder's own, because its tests kill them, and the stage on which everything dies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.crash.stage import CrashStage
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer


@pytest.fixture(scope="session")
def crash_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def crash_redis() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.stop()


@pytest.fixture
def stage(crash_postgres: PostgresServer, crash_redis: RedisServer, tmp_path: Path) -> Iterator[CrashStage]:
    crash_redis.flush()
    made = CrashStage(crash_postgres, crash_redis, tmp_path)
    yield made
    made.close()
