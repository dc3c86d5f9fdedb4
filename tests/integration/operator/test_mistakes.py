"""What users get wrong: each mistake is a condition with its reason and what to do, while a healthy source
beside it goes on.
"""

import pytest

from tests.services.hurry import LOOKS_AGAIN
from tests.services.manifests import STATUS_COLUMN, Manifest, row_source, work_queue
from tests.services.operator_room import OperatorRoom, counted_for
from tests.services.postgres import PostgresServer, connect
from tests.services.process import wait_until
from tests.services.rows import add_orders, create_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow]

QUEUE = work_queue("orders", imports=["tests.services.journal_tasks"], tasks=["count"])


def source(name: str = "orders", **spec: object) -> Manifest:
    return row_source(
        name, **{"workQueueRef": {"name": "orders"}, "task": "count", "statusColumn": STATUS_COLUMN, **spec}
    )


MISTAKES: list[tuple[str, dict[str, object], str, str]] = [
    ("missing table", {"table": "public.odrers"}, "TableMissing", "odrers"),
    ("missing schema", {"table": "sales.orders"}, "TableMissing", "sales"),
    ("missing column", {"columns": ["id", "amuont"]}, "ColumnMissing", "amuont"),
    ("missing column in pending", {"pending": "status = 'new' and amuont > 1"}, "ColumnMissing", "amuont"),
    ("pending that claiming does not end", {"pending": "amount > 1"}, "PendingStaysTrue", "status"),
    ("pending with a subquery", {"pending": "id in (select id from orders)"}, "InvalidSpec", "spec.pending"),
    ("pending with a costly function", {"pending": "pg_sleep(60) is null"}, "InvalidSpec", "spec.pending"),
    ("key that is not unique", {"key": "customer"}, "KeyNotUnique", "customer"),
    ("task not allowed", {"task": "bill"}, "TaskNotAllowed", "spec.tasks"),
    ("no such queue", {"workQueueRef": {"name": "odrers"}}, "WorkQueueMissing", "spec.workQueueRef"),
    ("another database", {"databaseRef": {"secretName": "other"}}, "DatabaseMismatch", "spec.databaseRef"),
]


def test_each_mistake_is_told_with_its_remedy_and_a_healthy_source_goes_on(room: OperatorRoom) -> None:
    create_orders(room.url, rows=20)
    room.create(QUEUE)
    for number, (_, spec, _, _) in enumerate(MISTAKES):
        room.create(source(f"wrong-{number}", **spec))
    room.operator(ready=False, otherwise=LOOKS_AGAIN)
    room.worker("orders", ready=False)
    wrong: list[str] = []
    for number, (what, _, reason, word) in enumerate(MISTAKES):
        try:
            condition = room.wait_condition(
                "RowSource",
                f"wrong-{number}",
                status="False",
                reason=reason,
                deadline_seconds=20 if not wrong else 3,
            )
        except AssertionError as error:
            wrong.append(f"{what}: {error}")
            continue
        if word not in condition["message"] or len(condition["message"]) < 40:
            wrong.append(f"{what}: no remedy in {condition['message']!r}")
    assert wrong == []
    assert statuses(room.url) == {"new": 20}, "nothing was taken by mistake"
    room.create(source())
    wait_until(lambda: statuses(room.url) == {"done": 20}, "the healthy source goes on", 30)
    room.change("RowSource", "wrong-2", columns=["id", "amount"])
    room.wait_condition("RowSource", "wrong-2", status="True")


def test_a_missing_secret_and_a_wrong_key_are_told_and_seen_to_be_mended(room: OperatorRoom) -> None:
    create_orders(room.url, rows=10)
    room.create(work_queue("lost", databaseRef={"secretName": "nowhere"}, tasks=["count"]))
    room.create(QUEUE)
    room.create(source())
    room.operator(ready=False, otherwise=LOOKS_AGAIN)
    room.worker("orders", ready=False)
    condition = room.wait_condition("WorkQueue", "lost", status="False", reason="SecretMissing")
    assert "nowhere" in condition["message"]
    assert "create it" in condition["message"]
    wait_until(lambda: statuses(room.url) == {"done": 10}, "the healthy queue goes on", 30)
    room.secret("nowhere", url=room.url)
    wait_until(
        lambda: "workerUrl" in room.condition("WorkQueue", "lost")["message"], "the missing key is named", 30
    )
    room.secret("nowhere", url=room.url, workerUrl=room.url)
    room.wait_condition("WorkQueue", "lost", status="True")


def test_a_wrong_password_is_told_without_the_password(
    room: OperatorRoom, own_postgres: PostgresServer
) -> None:
    create_orders(room.url, rows=10)
    asks_for_password(own_postgres, "careful")
    wrong = room.url.replace("postgres@", "careful:not-the-word@")
    room.secret("wrong", url=wrong, workerUrl=wrong)
    room.create(work_queue("locked", databaseRef={"secretName": "wrong"}, tasks=["count"]))
    room.create(QUEUE)
    room.create(source())
    operator = room.operator(ready=False)
    room.worker("orders", ready=False)
    condition = room.wait_condition("WorkQueue", "locked", status="False", reason="WrongCredentials")
    assert "Secret" in condition["message"]
    wait_until(lambda: statuses(room.url) == {"done": 10}, "the healthy queue goes on", 30)
    assert "not-the-word" not in condition["message"] + operator.log.read_text() + "".join(
        str(room.get("WorkQueue", "locked"))
    )


def asks_for_password(server: PostgresServer, user: str) -> None:
    """This login needs a password from now on; all others go on as they are."""
    with connect(server.url()) as cursor:
        cursor.execute(f"create role {user} login password 'the-right-word'")
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    with connect(server.url()) as cursor:
        cursor.execute("select pg_reload_conf()")


def test_a_role_that_may_not_update_is_told_the_grant(room: OperatorRoom) -> None:
    create_orders(room.url)
    with connect(room.url) as cursor:
        cursor.execute("create role reader login")
        cursor.execute(f"grant create on database {room.url.rsplit('/', 1)[1]} to reader")
        cursor.execute("grant select on orders to reader")
    reader = room.url.replace("postgres@", "reader@")
    room.secret("rowlock-database", url=reader, workerUrl=room.url)
    room.create(QUEUE)
    room.create(source())
    room.operator(ready=False, otherwise=LOOKS_AGAIN)
    condition = room.wait_condition("RowSource", "orders", status="False", reason="NotAllowed")
    assert "grant" in condition["message"].lower()


def test_a_wrong_setting_ends_the_operator_with_a_sentence(room: OperatorRoom) -> None:
    operator = room.operator(rowlock_lease_seconds="soon", ready=False)
    assert operator.wait(20) == 2
    assert "ROWLOCK_LEASE_SECONDS is 'soon', but must be a number of seconds" in operator.log.read_text()


def test_a_quiet_installation_writes_nothing(room: OperatorRoom) -> None:
    create_orders(room.url, rows=50)
    room.create(
        work_queue(
            "orders",
            imports=["tests.services.journal_tasks"],
            tasks=["count"],
            scaling={"max": 1, "cooldownSeconds": 0},
        )
    )
    room.create(source())
    room.create(source("wrong", table="public.odrers"))
    room.operator(ready=False, otherwise=LOOKS_AGAIN)
    room.worker("orders", ready=False)
    wait_until(lambda: statuses(room.url) == {"done": 50}, "the rows are done", 30)
    room.wait_condition("RowSource", "wrong", status="False", reason="TableMissing")
    wait_until(lambda: at_rest(room, done=50), "both statuses say that nothing is left to do", 60)
    wait_until(lambda: counted_for(1, room.status_writes) == 0, "the last of those writes was counted", 60)
    assert counted_for(12, room.status_writes) == 0
    add_orders(room.url, 1)
    wait_until(
        lambda: room.get("RowSource", "orders").get("status", {}).get("done") == 51,
        "the twin: work is written",
        20,
    )


def at_rest(room: OperatorRoom, *, done: int) -> bool:
    """Nothing waits, the worker that the operator asked for is gone again: no figure has a reason to move. A
    pause between two writes does not say that: on a busy machine the ledger is counted every few seconds
    only.
    """
    queue, rows = (
        room.get("WorkQueue", "orders").get("status", {}),
        room.get("RowSource", "orders").get("status", {}),
    )
    figures = {name: queue.get(name) for name in ("backlog", "running", "desiredReplicas", "replicas")}
    progressing = room.condition("WorkQueue", "orders", "Progressing").get("reason")
    return (
        figures == dict.fromkeys(figures, 0)
        and progressing == "Stable"
        and (rows.get("pending"), rows.get("running"), rows.get("done")) == (0, 0, done)
    )
