"""Outages longer than any client's tries: pauses are handed in, so that an hour of them takes seconds."""

import os
from pathlib import Path

import pytest

from rowlock_jobs import logs, wiring
from rowlock_jobs.settings import load_settings
from rowlock_jobs.worker.alive import read_alive
from rowlock_jobs.worker.shutdown import Shutdown
from tests.integration.jobs.stage import Stage, WorkerProcess
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.redis import RedisServer

pytestmark = pytest.mark.integration
AN_HOUR = 3600.0


class _NotedPauses(Shutdown):
    """Each pause is written down instead of waited for."""

    def __init__(self, noted: Path) -> None:
        super().__init__(grace_seconds=60)
        self._noted = noted.open("a", buffering=1)

    def pause(self, seconds: float) -> None:
        self._noted.write(f"{seconds}\n")
        super().pause(0)


def _patient_worker(stage: Stage) -> WorkerProcess:
    def program() -> int:
        settings = load_settings(os.environ)
        logs.configure_logging("json")
        return wiring.run_worker(settings, settings.alive_file, _NotedPauses(stage.folder / "pauses"))

    return stage.worker(program=program)


def _wait_for_an_hour(stage: Stage) -> None:
    noted = stage.folder / "pauses"
    wait_until(lambda: sum(map(float, noted.read_text().split("\n")[:-1])) > AN_HOUR, "an hour of tries", 60)


def _alive(stage: Stage) -> str | None:
    return read_alive(stage.folder / "alive")


def test_a_worker_takes_runs_again_after_an_hour_without_redis(
    database: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    stage = Stage(database, own_redis.url, tmp_path)
    try:
        worker = _patient_worker(stage)
        own_redis.kill()
        wait_until(lambda: _alive(stage) == "waiting for Redis", "the alive file says so")
        _wait_for_an_hour(stage)
        own_redis.start()
        stage.wait_ended(stage.run("noop", 3))
        wait_until(lambda: _alive(stage) == "working", "the alive file says so")
        wait_until(lambda: stage.redis.scard("rq:workers") == 1, "it is listed again", 30)
        worker.terminate()
        assert worker.wait() == 0
    finally:
        stage.close()


def test_an_hour_without_redis_and_postgresql_costs_no_outcome_and_no_later_run(
    own_postgres: PostgresServer, own_redis: RedisServer, tmp_path: Path
) -> None:
    stage = Stage(own_postgres.new_database(), own_redis.url, tmp_path)
    try:
        _patient_worker(stage)
        (held,) = stage.run("hold", release=str(tmp_path / "go"))
        stage.wait_note("begin")
        own_redis.kill()
        own_postgres.kill()
        (tmp_path / "go").touch()
        wait_until(lambda: _alive(stage) == "waiting for Redis and PostgreSQL", "the alive file says so")
        _wait_for_an_hour(stage)
        own_postgres.start()
        assert stage.wait_state(held, "succeeded")["attempt"] == 1
        wait_until(lambda: _alive(stage) == "waiting for Redis", "the alive file says so")
        own_redis.start()
        stage.wait_ended(stage.run("noop", 3))
        wait_until(lambda: _alive(stage) == "working", "the alive file says so")
    finally:
        stage.close()


def test_connections_that_break_again_and_again_use_nothing_up(stage: Stage) -> None:
    """An idle timeout, a failover, a CLIENT KILL, so often in a worker's life; redis-py's pool allows a
    hundred connections.
    """
    worker = _patient_worker(stage)

    def cut() -> bool:
        for kind in ("normal", "pubsub"):
            stage.redis.client_kill_filter(_type=kind, skipme=True)
        return worker.log.read_text().count('"redis_back"') > 130

    wait_until(cut, "it was away and back again 130 times", 60)
    stage.wait_ended(stage.run("noop", 3))
    assert len(stage.redis.client_list()) <= 6
    wait_until(lambda: _alive(stage) == "working", "the alive file says so")


def test_a_pod_that_waits_for_a_store_lives_and_is_not_ready(
    database: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    stage = Stage(database, own_redis.url, tmp_path)

    def probe(command: str) -> int:
        return stage.worker(command, ready=False).wait()

    try:
        own_redis.kill()
        pod = stage.worker(processes="2", ready=False)
        wait_until(lambda: _alive(stage) == "waiting for Redis", "the alive file says so")
        assert (probe("alive"), probe("ready")) == (0, 1)
        assert stage.workers[-1].log.read_text() == "waiting for Redis\n"
        own_redis.start()
        pod.wait_event("worker_started", 2)
        wait_until(lambda: _alive(stage) == "working", "the alive file says so")
        assert (probe("alive"), probe("ready")) == (0, 0)
        own_redis.kill()
        wait_until(lambda: _alive(stage) == "waiting for Redis", "the alive file says so")
        assert (probe("alive"), probe("ready")) == (0, 1)
        pod.terminate()
        assert pod.wait() == 0
    finally:
        stage.close()
