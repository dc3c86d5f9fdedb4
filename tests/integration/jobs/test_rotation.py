"""The file of an address changes under a living worker, as the kubelet changes a mounted Secret: the worker
follows.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.jobs.stage import Stage, WorkerProcess
from tests.services.postgres import PostgresServer, connect
from tests.services.process import wait_until
from tests.services.redis import RedisServer

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def guarded_postgres() -> Iterator[PostgresServer]:
    """Its role `app` needs a password."""
    server = PostgresServer({"fsync": "off"}).start()
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"host all app 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    with connect(server.url()) as cursor:
        cursor.execute("select pg_reload_conf()")
    yield server
    server.stop()


class Rotated(Stage):
    """A stage whose worker reads its addresses from files."""

    def __init__(self, server: PostgresServer, redis_url: str, folder: Path) -> None:
        super().__init__(server.new_database(), redis_url, folder)
        self.sql("do $$ begin create role app login; exception when duplicate_object then null; end $$")
        self.sql("grant rowlock_worker to app; grant select, insert on written to app")
        self.database_file, self.redis_file = folder / "database", folder / "redis"
        self.redis_file.write_text(redis_url)

    def set_password(self, password: str) -> None:
        self.sql("alter role app password %s", password)

    def write_password(self, password: str) -> None:
        self.database_file.write_text(self.database.replace("postgres@", f"app:{password}@") + "\n")

    def end_connections(self) -> None:
        self.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")

    def worker_by_files(self, **changes: str) -> WorkerProcess:
        files = {"database_url_file": str(self.database_file), "redis_url_file": str(self.redis_file)}
        return self.worker(database_url="", redis_url="", **files, **changes)


@pytest.fixture
def rotated(guarded_postgres: PostgresServer, own_redis: RedisServer, tmp_path: Path) -> Iterator[Rotated]:
    stage = Rotated(guarded_postgres, own_redis.url, tmp_path)
    stage.set_password("old-hunter2")
    stage.write_password("old-hunter2")
    yield stage
    stage.close()


def test_a_worker_whose_password_was_changed_says_so_and_goes_on_with_the_new_one(rotated: Rotated) -> None:
    worker = rotated.worker_by_files()
    rotated.wait_ended(rotated.run("reads", 2))
    rotated.set_password("new-hunter2")
    rotated.end_connections()
    refused = worker.wait_event("login_refused", 2)
    assert (refused["store"], refused["level"]) == ("database", "warning")
    assert "ROWLOCK_DATABASE_URL_FILE" in refused["error"]
    ids = rotated.run("reads", 2)
    rotated.write_password("new-hunter2")
    rotated.wait_ended(ids)
    assert {rotated.look(run_id)["state"] for run_id in ids} == {"succeeded"}
    assert "hunter2" not in worker.log.read_text()


def test_a_run_that_needs_a_new_connection_amid_a_rotation_waits_and_does_not_fail(rotated: Rotated) -> None:
    # the parent stays logged in; each child logs in anew
    worker = rotated.worker_by_files(tasks_per_child="1")
    rotated.wait_ended(rotated.run("reads"))
    rotated.set_password("new-hunter2")
    (run_id,) = rotated.run("reads")
    worker.wait_event("login_refused")
    rotated.write_password("new-hunter2")
    ended = rotated.wait_state(run_id, "succeeded")
    assert (ended["attempt"], ended["infra_tries"]) == (1, 0)


SPOILED = (
    None,
    "",
    "postgresql://app:hun/ter2@127.0.0.1/x",
    "host='h",
    "postgresql://h/d?async=1",
    "postgresql://h/d?sslmode=hunter2",
)


def test_a_file_that_is_spoiled_for_a_while_ends_no_worker(rotated: Rotated) -> None:
    worker = rotated.worker_by_files()
    rotated.wait_ended(rotated.run("reads"))
    for count, spoiled in enumerate(SPOILED, 1):
        rotated.database_file.unlink()
        if spoiled is not None:
            rotated.database_file.write_text(spoiled)
        rotated.end_connections()
        ids = rotated.run("noop")  # the worker takes it from Redis, and has to ask the ledger
        worker.wait_event("database_away", 3 * count)
        rotated.write_password("old-hunter2")
        rotated.wait_ended(ids)
    said = [line["error"] for line in worker.events("database_away")]
    assert sum("ROWLOCK_DATABASE_URL_FILE" in each for each in said) >= len(SPOILED)
    assert "ter2" not in worker.log.read_text()


def test_a_worker_follows_a_new_password_of_redis(rotated: Rotated) -> None:
    worker = rotated.worker_by_files()
    rotated.wait_ended(rotated.run("noop"))
    rotated.redis.config_set("requirepass", "new-hunter2")
    rotated.redis.client_kill_filter(_type="normal", skipme=True)
    rotated.redis.client_kill_filter(_type="pubsub")
    refused = worker.wait_event("login_refused", 2)
    assert (refused["store"], "ROWLOCK_REDIS_URL_FILE" in refused["error"]) == ("redis", True)
    rotated.redis_file.write_text(rotated.redis_url.replace("//", "//:new-hunter2@"))
    worker.wait_event("redis_back")
    rotated.wait_ended(rotated.run("noop"))
    rotated.redis.delete(f"rq:worker:{worker.events('worker_started')[0]['worker']}")
    wait_until(
        lambda: rotated.redis.keys("rq:worker:*"), "RQ's records are written with the new password, too", 15
    )
    wait_until(
        lambda: rotated.redis.pubsub_channels("rq:pubsub:*"), "the worker listens for RQ's commands again", 25
    )
    assert "hunter2" not in worker.log.read_text()
