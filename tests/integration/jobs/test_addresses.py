"""Where a worker's stores may be: sockets, and what is no Redis that holds queues."""

from pathlib import Path

import pytest

from tests.integration.jobs.stage import Stage
from tests.services.postgres import PostgresServer
from tests.services.process import Server, find_program, free_port, port_open
from tests.services.redis import RedisServer

pytestmark = pytest.mark.integration


def test_both_stores_are_reached_by_sockets(postgres: PostgresServer, tmp_path: Path) -> None:
    socket = tmp_path / "redis.sock"
    server = RedisServer("--unixsocket", str(socket)).start()
    stage = Stage(postgres.new_database(), server.url, tmp_path)
    try:
        name = stage.database.rpartition("/")[2]
        worker = stage.worker(
            database_url=f"postgresql://postgres@/{name}?host={postgres.folder}&port={postgres.port}",
            redis_url=f"unix://{socket}?db=0",
        )
        ids = stage.run("reads", 3)
        stage.wait_ended(ids)
        assert {stage.look(run_id)["state"] for run_id in ids} == {"succeeded"}
        worker.terminate()
        assert worker.wait() == 0
    finally:
        stage.close()
        server.stop()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_sentinel_in_place_of_redis_is_refused_with_a_sentence(
    database: str, redis_url: str, tmp_path: Path, processes: str
) -> None:
    port = free_port()
    (tmp_path / "sentinel.conf").touch()
    command = [
        find_program("redis-server"),
        str(tmp_path / "sentinel.conf"),
        "--sentinel",
        "--port",
        str(port),
        "--dir",
        str(tmp_path),
    ]
    sentinel = Server(command, tmp_path / "log")
    sentinel.start(lambda: port_open(port))
    stage = Stage(database, redis_url, tmp_path)
    try:
        worker = stage.worker(redis_url=f"redis://127.0.0.1:{port}/0", processes=processes, ready=False)
        assert worker.wait() == 2
        said = worker.events("settings_refused")[0]["error"]
        assert "ROWLOCK_REDIS_URL" in said
        assert "Sentinel" in said
        assert "Traceback" not in worker.log.read_text()
    finally:
        stage.close()
        sentinel.stop()
