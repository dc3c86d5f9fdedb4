"""Two dozen odd passwords, in every place that reads an address: percent-encoded they all work, as they are
nothing of them is seen.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

import rowlock_jobs.__main__ as worker_command
import rowlock_jobs.errors
from rowlock_cli.main import rowlock
from rowlock_jobs.fence.connection import connect_for_transactions as connect_worker
from rowlock_jobs.settings import load_settings
from rowlock_jobs.worker.redis_client import connect_redis
from rowlock_operator.rows.pool import Pool
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.services.kube import KubeControlPlane
from tests.services.manifests import work_queue
from tests.services.operator_room import OperatorRoom
from tests.services.passwords import ODD_PASSWORDS, escaped, must_be_escaped, quoted, shows
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.worker import ROOT

pytestmark = pytest.mark.integration
TOLD_SECONDS = 60.0
REMEDY = "%2F for /"
CHART_FILES = ROOT / "charts" / "rowlock" / "files"
MALFORMED = {name: password for name, password in ODD_PASSWORDS.items() if must_be_escaped(password)}


@pytest.fixture(scope="module")
def guarded_postgres() -> Iterator[PostgresServer]:
    """Its role `odd` needs a password."""
    server = PostgresServer().start()
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"host all odd 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    pool = Pool(server.url())
    pool.rows("role", "create role odd login")
    pool.rows("rules", "select pg_reload_conf()")
    pool.close()
    yield server
    server.stop()


def test_every_password_logs_in_where_it_is_percent_encoded_or_quoted(
    guarded_postgres: PostgresServer,
) -> None:
    pool = Pool(guarded_postgres.url())
    for password in ODD_PASSWORDS.values():
        password = password[:500]  # what PostgreSQL takes at most
        pool.rows("password", "alter role odd password %s", (password,))
        url = guarded_postgres.url(user=f"odd:{escaped(password)}")
        assert Pool(url).rows("who", "select current_user") == [("odd",)], password
        connect_worker(url, "test").close()
        words = (
            f"host=127.0.0.1 port={guarded_postgres.port} user=odd dbname=postgres"
            f" password={quoted(password)}"
        )
        assert Pool(words).rows("who", "select current_user") == [("odd",)], password
    pool.close()


def test_every_password_of_redis_logs_in_where_it_is_percent_encoded(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        for password in ODD_PASSWORDS.values():
            client.execute_command(
                "ACL", "SETUSER", "odd", "reset", "on", f">{password}", "~*", "&*", "+@all"
            )
            url = own_redis.url.replace("//", f"//odd:{escaped(password)}@")
            assert RedisQueues(url).lost("default/none", []) == set()
            assert connect_redis(url).ping(), password
        client.execute_command("ACL", "DELUSER", "odd")


@pytest.mark.parametrize("password", MALFORMED.values(), ids=MALFORMED)
def test_commands_tell_the_remedy_and_nothing_of_the_address(
    password: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    database, transport = (
        f"postgresql://app:{password}@db.example:5432/shop",
        f"redis://:{password}@db.example:6379/0",
    )
    said = []
    for words in (["runs"], ["health", "-o", "json"], ["info"]):
        result = CliRunner().invoke(
            rowlock, words, env={"ROWLOCK_DATABASE_URL": database, "ROWLOCK_DATABASE_URL_FILE": ""}
        )
        assert result.exit_code == 1, result.output
        said.append(result.output + repr(result.exception))
    for name, value in {
        "QUEUE": "default/orders",
        "TICK": "t",
        "TICK_SCHEDULE": "s",
        "TICK_TASK": "t",
        "DATABASE_URL": database,
    }.items():
        monkeypatch.setenv(f"ROWLOCK_{name}", value)
    for command in ("run", "once", "migrate", "tick"):
        assert worker_command.main([command]) == 2
        said.append("".join(capfd.readouterr()))
    with pytest.raises(rowlock_jobs.errors.SettingsError) as refused:
        load_settings(
            {
                "ROWLOCK_QUEUE": "a/b",
                "ROWLOCK_DATABASE_URL": "postgresql://h/d",
                "ROWLOCK_REDIS_URL": transport,
            }
        )
    said.append(str(refused.value))
    assert [text for text in said if REMEDY not in text] == []
    assert not any(shows(text) for text in said)


@pytest.mark.parametrize("name", ["slash", "port-and-slash"])
def test_scripts_of_the_chart_tell_the_remedy_and_nothing_of_the_address(name: str, tmp_path: Path) -> None:
    (tmp_path / "database").write_text(f"postgresql://app:{ODD_PASSWORDS[name]}@db.example:5432/shop\n")
    (tmp_path / "redis").write_text(f"redis://:{ODD_PASSWORDS[name]}@db.example:6379/0\n")
    files = {
        "ROWLOCK_DATABASE_URL_FILE": str(tmp_path / "database"),
        "ROWLOCK_REDIS_URL_FILE": str(tmp_path / "redis"),
    }
    for script in ("wait_for_database.py", "check_installation.py"):
        command = [sys.executable, "-c", (CHART_FILES / script).read_text()]
        done = subprocess.run(
            command,
            env={**os.environ, **files, "ROWLOCK_OPERATOR_URL": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, REMEDY in done.stdout + done.stderr) == (1, True), done.stdout + done.stderr
        assert not shows(done.stdout + done.stderr)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nothing_that_the_operator_says_anywhere_holds_a_part_of_an_address(
    log_format: str, kube_control_plane: KubeControlPlane, own_postgres: PostgresServer, tmp_path: Path
) -> None:
    room = OperatorRoom(
        kube_control_plane,
        own_postgres.new_database(ledger=False),
        f"redis://:{ODD_PASSWORDS['slash']}@127.0.0.1:1/0",
        tmp_path,
    )
    try:
        for number, password in enumerate(ODD_PASSWORDS.values()):
            urls = {
                "url": f"postgresql://app:{password}@127.0.0.1:1/shop",
                "workerUrl": f"postgresql://app:{password}@127.0.0.1:1/shop",
            }
            room.secret(f"odd{number}", **urls)
            room.create(
                work_queue(f"odd{number}", tasks=["count"], databaseRef={"secretName": f"odd{number}"})
            )
        room.create(work_queue("redis", tasks=["count"]))
        operator = room.operator(rowlock_log_format=log_format)
        for number, password in enumerate(ODD_PASSWORDS.values()):
            reason = "SecretMalformed" if must_be_escaped(password) else "DatabaseUnreachable"
            room.wait_condition(
                "WorkQueue", f"odd{number}", status="False", reason=reason, deadline_seconds=TOLD_SECONDS
            )
        mine = f"{room.namespace}/redis"
        wait_until(
            lambda: (
                room.sql("select to_regclass('rowlock.queue')")[0][0] is not None
                and room.sql("select 1 from rowlock.queue where name = %s", mine)
            ),
            "the ledger knows the queue whose Redis cannot be addressed",
            TOLD_SECONDS,
        )
        room.sql("select rowlock.enqueue_v1(%s, 'count')", mine)
        told = room.wait_condition(
            "WorkQueue", "redis", status="False", reason="SecretMalformed", deadline_seconds=TOLD_SECONDS
        )
        assert REMEDY in told["message"]
        assert operator.alive
        path = f"/apis/rowlock.dev/v1alpha1/namespaces/{room.namespace}/workqueues"
        events = f"/api/v1/namespaces/{room.namespace}/events"
        wait_until(
            lambda: "SecretMalformed" in json.dumps(room.must("GET", events)),
            "events are written",
            TOLD_SECONDS,
        )
        seen = {
            "objects": json.dumps(room.must("GET", path), ensure_ascii=False),
            "events": json.dumps(room.must("GET", events), ensure_ascii=False),
            "log": operator.log.read_text(),
            "metrics": operator.page("/metrics")[1],
            "readyz": operator.page("/readyz")[1],
        }
        assert [where for where, text in seen.items() if shows(text)] == []
        assert "Traceback" not in seen["log"]
    finally:
        room.close()
