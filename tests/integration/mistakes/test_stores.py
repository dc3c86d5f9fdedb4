"""What is wrong with the Secret, the login or the servers of one WorkQueue: told without a password, others
served, mended without a restart.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.mistakes.stage import QUEUE, TABLE, Stage
from tests.services.kube import KubeControlPlane
from tests.services.manifests import STATUS_COLUMN, row_source, work_queue
from tests.services.operator_room import OperatorRoom
from tests.services.pgbouncer import PgBouncer
from tests.services.postgres import PostgresServer, connect
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.rows import create_orders, statuses

pytestmark = pytest.mark.integration
TOLD_SECONDS = 60.0
NO_SOURCE = "nothing of this Secret is shown"


@pytest.fixture
def mortal_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer().start()
    yield server
    server.stop()


def with_queue(stage: Stage, name: str, url: str, *, worker_url: str = "") -> None:
    """A WorkQueue of its own Secret, a table of the same name with two rows, and its source."""
    stage.room.secret(name, url=url, workerUrl=worker_url or url)
    stage.room.create(
        work_queue(
            name, imports=["tests.services.journal_tasks"], tasks=["count"], databaseRef={"secretName": name}
        )
    )
    stage.create(name, workQueueRef={"name": name})


def told(stage: Stage, name: str, reason: str, *words: str) -> None:
    message = stage.room.wait_condition(
        "WorkQueue", name, status="False", reason=reason, deadline_seconds=TOLD_SECONDS
    )["message"]
    assert all(word in message for word in words), message


def table_of(url: str, name: str) -> None:
    with connect(url) as cursor:
        cursor.execute(TABLE.format(name))
        cursor.execute(f"insert into {name}(id) values (1), (2)")


def done(url: str, name: str, rows: int = 2) -> None:
    def there() -> bool:
        with connect(url) as cursor:
            cursor.execute(f"select count(*) from {name} where status = 'done'")
            return bool(cursor.fetchone()[0] == rows)

    wait_until(there, f"{rows} rows of {name} are done", TOLD_SECONDS)


def test_a_url_that_cannot_be_read_is_told_without_showing_it(stage: Stage) -> None:
    stage.table("badurl")
    with_queue(stage, "badurl", "postgres:/app:hunter2@db/shop")
    told(stage, "badurl", "SecretMalformed", "postgresql://USER:PASSWORD@HOST", "%40 for @")
    stage.room.secret("badurl", url="postgresql://app:hunter2@of@127.0.0.1/shop", workerUrl="x")
    wait_until(
        lambda: "more than one @" in stage.room.condition("WorkQueue", "badurl")["message"],
        "the @ is told",
        TOLD_SECONDS,
    )
    shown = (
        stage.operator.log.read_text()
        + str(stage.room.get("WorkQueue", "badurl"))
        + str(stage.room.get("RowSource", "badurl"))
    )
    assert "hunter2" not in shown, NO_SOURCE
    stage.room.secret("badurl", url=stage.room.url, workerUrl=stage.room.url)
    stage.room.wait_condition("WorkQueue", "badurl", status="True", deadline_seconds=TOLD_SECONDS)


def test_a_wrong_password_is_told_and_rows_flow_once_the_secret_holds_the_right_one(
    stage: Stage, own_postgres: PostgresServer
) -> None:
    stage.sql("create role careful login superuser password 'the-right-word'")
    rules = own_postgres.folder / "data" / "pg_hba.conf"
    rules.write_text(f"host all careful 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    stage.sql("select pg_reload_conf()")
    table_of(stage.room.url, "careful")
    with_queue(stage, "careful", stage.room.url.replace("postgres@", "careful:not-the-word@"))
    told(
        stage,
        "careful",
        "WrongCredentials",
        "password authentication failed",
        "Correct the login in the Secret",
    )
    assert "not-the-word" not in stage.operator.log.read_text() + str(stage.room.get("WorkQueue", "careful"))
    stage.others_are_served()
    right = stage.room.url.replace("postgres@", "careful:the-right-word@")
    stage.room.secret("careful", url=right, workerUrl=right)
    stage.room.worker("careful")
    done(stage.room.url, "careful")


def test_rows_flow_through_pgbouncer_in_transaction_mode(stage: Stage, own_postgres: PostgresServer) -> None:
    bouncer = PgBouncer(own_postgres).start()
    try:
        table_of(stage.room.url, "bounced")
        through = bouncer.url(stage.room.url)
        with_queue(stage, "bounced", through)
        stage.room.worker("bounced", rowlock_database_url=through)
        done(stage.room.url, "bounced")
        stage.room.wait_condition("RowSource", "bounced", status="True", deadline_seconds=TOLD_SECONDS)
        stage.room.delete("RowSource", "bounced")
        stage.room.delete("WorkQueue", "bounced")
    finally:
        bouncer.stop()


def test_a_database_that_is_away_at_the_start_and_later_holds_up_no_other(
    stage: Stage, mortal_postgres: PostgresServer
) -> None:
    url = mortal_postgres.new_database(ledger=False)
    table_of(url, "away")
    mortal_postgres.kill()
    with_queue(stage, "away", url)
    told(stage, "away", "DatabaseUnreachable", "goes on as soon as the database answers")
    stage.others_are_served()
    mortal_postgres.start()
    stage.room.worker("away", rowlock_database_url=url)
    done(url, "away")
    mortal_postgres.kill()
    stage.told("away", "DatabaseUnreachable", "127.0.0.1")
    stage.others_are_served()
    mortal_postgres.start()
    with connect(url) as cursor:
        cursor.execute("insert into away(id) values (3)")
    done(url, "away", 3)
    stage.well("away")


def test_a_redis_that_is_away_at_the_start_is_told_and_recovered_from(
    kube_control_plane: KubeControlPlane, own_postgres: PostgresServer, tmp_path: Path
) -> None:
    server = RedisServer()
    room = OperatorRoom(kube_control_plane, own_postgres.new_database(ledger=False), server.url, tmp_path)
    try:
        create_orders(room.url, rows=10)
        room.create(QUEUE)
        room.create(
            row_source("orders", workQueueRef={"name": "orders"}, task="count", statusColumn=STATUS_COLUMN)
        )
        operator = room.operator()
        condition = room.wait_condition(
            "WorkQueue", "orders", status="False", reason="RedisUnreachable", deadline_seconds=TOLD_SECONDS
        )
        assert "Runs stay in the database" in condition["message"]
        warnings = [
            line
            for line in operator.log.read_text().splitlines()
            if '"warning"' in line and "redis" in line.lower()
        ]
        assert len(warnings) < 10, warnings
        assert "Traceback" not in operator.log.read_text()
        server.start()
        room.worker("orders")
        wait_until(lambda: statuses(room.url) == {"done": 10}, "the rows are done", TOLD_SECONDS)
        room.wait_condition("WorkQueue", "orders", status="True", deadline_seconds=TOLD_SECONDS)
    finally:
        room.close()
        server.stop()
