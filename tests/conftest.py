"""Fixtures every tier shares: one PostgreSQL and one Redis a session, a fresh database a test."""

from collections.abc import Iterator

import pytest

from tests.services.kube import kube, kube_control_plane
from tests.services.pgbouncer import PgBouncer
from tests.services.postgres import PostgresServer
from tests.services.real_cluster import cluster, cluster_kubeconfig
from tests.services.redis import RedisServer

__all__ = ["cluster", "cluster_kubeconfig", "kube", "kube_control_plane"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On several processes, files with a slow test come first, so that none is left alone with one at the end."""
    if not hasattr(config, "workerinput"):
        return
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """URL of a fresh database with the ledger in it."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def pgbouncer(postgres: PostgresServer) -> Iterator[PgBouncer]:
    bouncer = PgBouncer(postgres).start()
    yield bouncer
    bouncer.stop()
