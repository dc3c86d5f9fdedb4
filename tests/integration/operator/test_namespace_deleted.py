"""A namespace is deleted under the operator, with everything in it: the others go on, nobody shouts, and its
runs do not wait for ever.
"""

import pytest

from tests.integration.operator.orders import QUEUE, SOURCE
from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source
from tests.services.operator_room import OperatorProcess, OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import add_orders, create_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow]
GUEST_TABLE = "create table guests(id int primary key, status text not null default 'new', error text)"


def guest_of(room: OperatorRoom) -> str:
    """Another namespace with a WorkQueue of Kubernetes Jobs and a table of its own: one run is launched, one
    waits.
    """
    guest = f"{room.namespace}-guest"
    room.must(
        "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": guest}}
    )
    home, room.namespace = room.namespace, guest
    try:
        room.secret("rowlock-database", url=room.url, workerUrl=room.url)
        wait_until(
            lambda: (
                room.plane.request("GET", f"/api/v1/namespaces/{guest}/serviceaccounts/default")[0] == 200
            ),
            "its account",
            30,
        )
        room.create(exit_queue("resize", parallelism=1, history={"deadSeconds": 3600}))
        spec = {
            "workQueueRef": {"name": "resize"},
            "task": "resize",
            "table": "guests",
            "columns": ["id"],
            "statusColumn": STATUS_COLUMN,
        }
        room.create(row_source("guests", **spec))
    finally:
        room.namespace = home
    return guest


def failures(operator: OperatorProcess) -> int:
    """Warnings and errors so far."""
    return operator.log.read_text().count('"level": "warning"') + operator.log.read_text().count(
        '"level": "error"'
    )


def test_the_others_go_on_and_its_runs_wait_until_their_time_is_over(room: OperatorRoom) -> None:
    create_orders(room.url, rows=20)
    room.sql(GUEST_TABLE)
    room.sql("insert into guests values (1), (2)")
    room.create(QUEUE)
    room.create(SOURCE)
    guest = guest_of(room)
    operator = room.operator(rowlock_watch_namespaces=f"{room.namespace},{guest}")
    room.worker("orders", ready=False)
    wait_until(lambda: statuses(room.url) == {"done": 20}, "the first rows are done", 40)
    states = "select state from rowlock.run where queue like '%%guest/resize' order by 1"
    wait_until(
        lambda: room.sql(states) == [("launching",), ("pending",)],
        "one run of the guest is launched, one waits",
        30,
    )

    before = failures(operator)
    room.must("DELETE", f"/api/v1/namespaces/{guest}")
    wait_until(
        lambda: room.plane.request("GET", f"/api/v1/namespaces/{guest}")[0] == 404,
        "the namespace is gone",
        60,
    )
    add_orders(room.url, 20)
    wait_until(lambda: statuses(room.url) == {"done": 40}, "rows of the other namespace flow", 30)
    wait_until(lambda: room.sql(states) == [("pending",)] * 2, "what was launched waits again", 30)
    wait_until(
        lambda: room.sql("select deleted from rowlock.queue where name like '%%guest/resize'") == [(True,)],
        "the ledger knows",
        40,
    )
    assert failures(operator) - before < 20, "no storm"
    assert operator.page("/livez")[0] == operator.page("/readyz")[0] == 200

    room.sql("select rowlock.forget_v1()")
    assert room.sql(states) == [("pending",)] * 2, "it may come back within its history"
    room.sql("update rowlock.queue set changed_at = changed_at - interval '2 hours' where deleted")

    def forgotten() -> bool:
        room.sql("select rowlock.forget_v1()")  # what the housekeeper does every hour
        return room.sql(states) == [("canceled",)] * 2

    wait_until(forgotten, "nothing waits for ever", 20)
    assert (
        room.sql("select failure->>'reason' from rowlock.run where state = 'canceled'")
        == [("WorkQueueDeleted",)] * 2
    )
    assert room.sql("select count(*) from rowlock.active") == [(0,)]
