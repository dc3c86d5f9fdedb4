"""A Redis server of the tests' own, without persistence: a restart loses everything, as the design must
survive.
"""

import shutil
import signal

import redis

from tests.services.process import Server, data_folder, find_program, free_port, port_open


class RedisServer:
    def __init__(self, *options: str) -> None:
        self._options = options
        self.port = free_port()
        self.folder = data_folder("rowlock-redis-")
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "RedisServer":
        command = [find_program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self.folder), *self._options]
        self._server = Server(command, self.folder / "log")
        self._server.start(lambda: port_open(self.port))
        return self

    def kill(self) -> None:
        if self._server:
            self._server.stop(signal.SIGKILL)

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def stop(self) -> None:
        if self._server:
            self._server.stop()
            self._server = None
        shutil.rmtree(self.folder, ignore_errors=True)
