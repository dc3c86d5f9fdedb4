"""PgBouncer in transaction mode in front of a test's PostgreSQL: no session state survives between two
transactions.
"""

import os
import shutil
import tempfile
from pathlib import Path

from tests.services.postgres import PostgresServer
from tests.services.process import Server, as_user, find_program, free_port, port_open


class PgBouncer:
    def __init__(self, server: PostgresServer, ignored: str = "extra_float_digits,options") -> None:
        self._ignored = ignored  # of a connection's start: any other that it does not know is refused
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="rowlock-bouncer-"))
        self._server_port = server.port
        self._server: Server | None = None

    def start(self) -> "PgBouncer":
        (self.folder / "users").write_text('"postgres" ""\n')
        config = f"""[databases]
* = host=127.0.0.1 port={self._server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
auth_file = {self.folder}/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
ignore_startup_parameters = {self._ignored}
"""
        # With auth_type any every client is mapped to one forced user.
        config = config.replace("port=" + str(self._server_port), f"port={self._server_port} user=postgres")
        (self.folder / "pgbouncer.ini").write_text(config)
        if os.geteuid() == 0:
            self.folder.chmod(0o755)
        command = [find_program("pgbouncer"), str(self.folder / "pgbouncer.ini")]
        self._server = Server(as_user("postgres", command), self.folder / "log")
        self._server.start(lambda: port_open(self.port))
        return self

    def url(self, direct: str) -> str:
        """The URL of the same database through the bouncer."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{direct.rsplit('/', 1)[1]}"

    def stop(self) -> None:
        if self._server:
            self._server.stop()
            self._server = None
        shutil.rmtree(self.folder, ignore_errors=True)
