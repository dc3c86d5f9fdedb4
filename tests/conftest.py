"""Fixtures every tier shares: one PostgreSQL and one Redis a session, a fresh database a test."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.kube import kube, kube_control_plane
from tests.services.pgbouncer import PgBouncer
from tests.services.postgres import PostgresServer
from tests.services.real_cluster import cluster, cluster_kubeconfig
from tests.services.redis import RedisServer
from tests.services.sharing import longest_first, scheduler

_seconds: Counter[str] = Counter()
__all__ = ["cluster", "cluster_kubeconfig", "kube", "kube_control_plane"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return scheduler(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    note_failure(report)
    _seconds[report.nodeid.split("::")[0]] += report.duration


def pytest_collectreport(report: pytest.CollectReport) -> None:
    note_failure(report)


def pytest_sessionfinish() -> None:
    """For `make test`, too: how long the tests of each file took, with what they shared made in the first
    one's time.
    """
    file = os.environ.get("ROWLOCK_TEST_SECONDS")
    if file and "PYTEST_XDIST_WORKER" not in os.environ:
        Path(file).write_text(json.dumps(_seconds), encoding="utf-8")


def note_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    """For `make test`, whose last lines name every test that failed (tools/tiers.py). On several processes
    the one that gathers writes.
    """
    file = os.environ.get("ROWLOCK_FAILED_TESTS")
    if file and report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(f"{report.nodeid}\n")


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
def database(postgres: PostgresServer) -> Iterator[str]:
    """URL of a fresh database with the ledger in it."""
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def pgbouncer(postgres: PostgresServer) -> Iterator[PgBouncer]:
    bouncer = PgBouncer(postgres).start()
    yield bouncer
    bouncer.stop()
