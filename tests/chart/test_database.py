"""The embedded database's first start and the chart's scripts, run for real on PostgreSQL and Redis."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from rowlock_jobs.work.migrate import migrate
from tests.chart.rendering import CHART
from tests.services.postgres import PostgresServer, apply_ledger, connect
from tests.services.process import find_program
from tests.services.redis import RedisServer

pytestmark = pytest.mark.integration
PASSWORDS = {
    "ROWLOCK_OPERATOR_PASSWORD": "made-for-o",
    "ROWLOCK_WORKER_PASSWORD": "made-for-w",
    "ROWLOCK_APP_PASSWORD": "it's made-for-a",
}


def first_start(server: PostgresServer) -> subprocess.CompletedProcess[str]:
    """What the image does with files/roles.sql: psql as the superuser, the passwords in the environment."""
    command = [
        find_program("psql"),
        "--no-psqlrc",
        "--file",
        str(CHART / "files/roles.sql"),
        server.url("rowlock"),
    ]
    return subprocess.run(
        command, env={**os.environ, **PASSWORDS}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Roles belong to a whole server, so this one is not shared. In it: roles, ledger, domain tables, a table
    of the application.
    """
    server = PostgresServer({"log_statement": "none"}).start()
    with connect(server.url()) as cur:
        cur.execute("create database rowlock")
    done = first_start(server)
    assert done.returncode == 0, done.stderr
    apply_ledger(server.url("rowlock", "rowlock_operator"))
    migrate(server.url("rowlock", "rowlock_operator"))
    with connect(server.url("rowlock", "app")) as cur:
        cur.execute("create table orders(id bigserial primary key, status text not null default 'new')")
        cur.execute("insert into orders default values")
    yield server
    server.stop()


def test_each_login_may_do_its_work(server: PostgresServer) -> None:
    with connect(server.url("rowlock", "rowlock_operator")) as cur:
        cur.execute("insert into rowlock.queue(name, mode, retry) values ('demo/documents', 'Workers', '{}')")
    with connect(server.url("rowlock", "app")) as cur:
        cur.execute("insert into users(username, email) values ('u', 'u@example.org') returning id")
        cur.execute("select rowlock.enqueue_v1('demo/documents', 'process_document')")
        assert cur.fetchone()[0] is not None
    with connect(server.url("rowlock", "rowlock_operator")) as cur:
        cur.execute("select count(*) from orders where status = 'new'")
        cur.execute("update orders set status = 'queued'")
        assert cur.rowcount == 1
    with connect(server.url("rowlock", "rowlock_worker_login")) as cur:
        cur.execute("select rowlock.hello_v1('w')")
        cur.execute("insert into orders(status) values ('made by a task')")
        cur.execute("select count(*) from workshop_documents")


FORBIDDEN = {
    "a worker reads the ledger's tables": ("rowlock_worker_login", "select * from rowlock.active"),
    "a worker makes tables": ("rowlock_worker_login", "create table mine(id int)"),
    "a worker makes roles": ("rowlock_worker_login", "create role mine"),
    "an application starts runs": ("app", "select rowlock.start_v1('{}', '{}', 1, gen_random_uuid())"),
    "an application reads the ledger's tables": ("app", "select * from rowlock.active"),
    "an application drops a domain table": ("app", "drop table document_ingest_jobs"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_login_may_do_more(server: PostgresServer, what: str) -> None:
    login, statement = FORBIDDEN[what]
    with (
        connect(server.url("rowlock", login)) as cur,
        pytest.raises((psycopg2.errors.InsufficientPrivilege,)),
    ):
        cur.execute(statement)


def test_a_stranger_may_not_even_connect(server: PostgresServer) -> None:
    with connect(server.url()) as cur:
        cur.execute("create role stranger login")
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(server.url("rowlock", "stranger"))


def test_passwords_are_stored_as_scram_and_appear_nowhere(server: PostgresServer) -> None:
    with connect(server.url()) as cur:
        cur.execute(
            "select rolname, rolpassword from pg_authid where rolname in ('app', 'rowlock_operator',"
            " 'rowlock_worker_login')"
        )
        stored = dict(cur.fetchall())
    assert len(stored) == 3
    assert all(value.startswith("SCRAM-SHA-256$") for value in stored.values())
    assert first_start(server).returncode != 0, (
        "a second run fails at its first role: the case in which a statement would be logged"
    )
    log = (server.folder / "log").read_text()
    assert not [password for password in PASSWORDS.values() if password in log]


def script(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script the way its pod does, with no patience."""
    source = (CHART / "files" / name).read_text()
    environment = {**os.environ, "WAIT_SECONDS": "0", **environment}
    return subprocess.run(
        [sys.executable, "-c", source],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def as_file(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text + "\n")
    return str(folder / name)


def test_migration_waits_for_a_database_with_the_worker_role(server: PostgresServer, tmp_path: Path) -> None:
    url = as_file(tmp_path, "url", server.url("rowlock", "rowlock_operator"))
    assert script("wait_for_database.py", ROWLOCK_DATABASE_URL_FILE=url).returncode == 0


def test_migration_says_that_the_role_is_missing(tmp_path: Path) -> None:
    bare = PostgresServer().start()
    try:
        done = script("wait_for_database.py", ROWLOCK_DATABASE_URL_FILE=as_file(tmp_path, "url", bare.url()))
    finally:
        bare.stop()
    assert (done.returncode, "role rowlock_worker is missing" in done.stderr) == (1, True), done.stderr


def test_migration_says_that_nobody_answers(tmp_path: Path) -> None:
    url = as_file(tmp_path, "url", "postgresql://x@127.0.0.1:1/rowlock")
    done = script("wait_for_database.py", ROWLOCK_DATABASE_URL_FILE=url)
    assert (done.returncode, "cannot connect" in done.stderr) == (1, True), done.stderr


def check(
    server: PostgresServer, redis: str, folder: Path, login: str = "rowlock_worker_login", operator: str = ""
) -> subprocess.CompletedProcess[str]:
    return script(
        "check_installation.py",
        ROWLOCK_DATABASE_URL_FILE=as_file(folder, "workerUrl", server.url("rowlock", login)),
        ROWLOCK_REDIS_URL_FILE=as_file(folder, "redis", redis),
        ROWLOCK_OPERATOR_URL=operator,
    )


def test_helm_test_passes_where_a_worker_finds_everything(
    server: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    done = check(server, redis_server.url, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok:") == 3


def test_helm_test_fails_without_redis_and_says_so(server: PostgresServer, tmp_path: Path) -> None:
    done = check(server, "redis://127.0.0.1:1/0", tmp_path)
    assert (done.returncode, "FAILED (transport):" in done.stdout) == (1, True), done.stdout


def test_helm_test_fails_for_a_role_that_may_not_start_runs(
    server: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    done = check(server, redis_server.url, tmp_path, login="app")
    assert done.returncode == 1
    assert "may not call rowlock.begin_effect_v1" in done.stdout


def test_helm_test_fails_without_an_operator_and_says_so(
    server: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    done = check(server, redis_server.url, tmp_path, operator="http://127.0.0.1:1")
    assert (done.returncode, "FAILED (operator):" in done.stdout) == (1, True), done.stdout
