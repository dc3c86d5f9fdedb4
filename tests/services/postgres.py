"""A PostgreSQL server of the tests' own."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg2

from rowlock_operator.rows.migrations import migrate
from rowlock_operator.rows.pool import Pool
from tests.services.process import Server, as_user, data_folder, find_program, free_port, has_input

FOLDERS = (os.environ.get("ROWLOCK_POSTGRES", "/usr/lib/postgresql/*/bin"),)
"""Where `initdb` and `postgres` are; the variable names those of another version."""
_QUICK = {"fsync": "off", "max_wal_size": "512MB"}


class PostgresServer:
    """A commit outlives `kill`, a crash of the processes. `durable`: it outlives a power failure, too, and
    takes as long as it does for users: what is measured, is measured with it. `settings` are the server's
    own.
    """

    def __init__(self, settings: dict[str, str] | None = None, *, durable: bool = False) -> None:
        self.settings = ({} if durable else _QUICK) | (settings or {})
        self.port = free_port()
        self.folder = data_folder("rowlock-pg-", durable=durable)
        self._names = itertools.count(1)
        self._template = ""
        self._server: Server | None = None

    def start(self) -> "PostgresServer":
        data = self.folder / "data"
        if not data.exists():
            data.mkdir(mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(self.folder, "postgres", "postgres")
                shutil.chown(data, "postgres", "postgres")
                self.folder.chmod(0o755)
            initdb = [
                find_program("initdb", *FOLDERS),
                "-D",
                str(data),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-N",
            ]
            subprocess.run(as_user("postgres", initdb), check=True, capture_output=True, cwd="/")
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "128MB",
            "max_wal_size": "2GB",
            **self.settings,
        }
        command = [
            find_program("postgres", *FOLDERS),
            "-D",
            str(data),
            *(f"--{k}={v}" for k, v in options.items()),
        ]
        self._server = Server(as_user("postgres", command), self.folder / "log")
        self._server.start(self._ready, 30)
        return self

    def _ready(self) -> bool:
        try:
            psycopg2.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def kill(self) -> None:
        """Immediate shutdown, as a crash: nothing but the WAL survives."""
        if self._server:
            self._server.stop(signal.SIGQUIT)

    def stop(self) -> None:
        """For good; nothing is left that would need an orderly end."""
        self.kill()
        self._server = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self, ledger: bool = True, encoding: str = "") -> str:
        """Creates an empty database (with the ledger's schema, if asked) and returns its URL. `encoding`:
        another one than UTF8.
        """
        name = f"t{os.getpid()}_{next(self._names)}"
        if encoding:
            with connect(self.url()) as cur:
                cur.execute(
                    f"create database {name} encoding '{encoding}' lc_collate 'C' lc_ctype 'C' template"
                    " template0"
                )
            if ledger:
                apply_ledger(self.url(name))
            return self.url(name)
        if ledger and not self._template:
            self._template = f"ledger{os.getpid()}"
            with connect(self.url()) as cur:
                cur.execute(f"create database {self._template}")
            apply_ledger(self.url(self._template))
        with connect(self.url()) as cur:
            cur.execute(
                f"create database {name} template {self._template if ledger else 'template0'} strategy"
                " file_copy"
            )
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Also while somebody is connected to it."""
        _let_go(url)
        with connect(self.url()) as cur:
            cur.execute(f"drop database if exists {url.rsplit('/', 1)[1]} with (force)")


def apply_ledger(url: str) -> None:
    """The ledger's migrations, as the operator applies them."""
    pool = Pool(url)
    try:
        migrate(pool)
    finally:
        pool.close()


@contextlib.contextmanager
def connect(url: str) -> Iterator[Any]:
    """An autocommit cursor."""
    connection = psycopg2.connect(url, connect_timeout=5)
    connection.autocommit = True
    try:
        with connection.cursor() as cur:
            yield cur
    finally:
        connection.close()


_kept: dict[str, list[Any]] = {}


def ask(url: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of one statement in a transaction of its own; [] where it has none. Raises psycopg2.Error.

    The connection is kept for the next one: tests wait by looking often, and a new one costs eighteen times
    what a look costs. So the statement must leave nothing behind in its session.
    """
    connection = _connection(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            rows = list(cursor.fetchall()) if cursor.description else []
    except BaseException:
        connection.close()
        raise
    _kept.setdefault(url, []).append(connection)
    return rows


def _connection(url: str) -> Any:
    """One that nobody uses and the server has not ended (it would have said so), or a new one."""
    kept = _kept.get(url, [])
    while kept:
        connection = kept.pop()
        if not has_input(connection):
            return connection
        connection.close()
    made = psycopg2.connect(url, connect_timeout=5)
    made.autocommit = True
    return made


def _let_go(url: str) -> None:
    """Ends what is kept of a database, whoever logged in."""
    database = url.rsplit("/", 1)[1]
    for known in [known for known in _kept if known.rsplit("/", 1)[1] == database]:
        for connection in _kept.pop(known):
            connection.close()
