"""What keeps the duties from their work stands in the conditions of WorkQueues and RowSources, and in the
metric; and no more once it is over.
"""

from collections.abc import Callable

import psycopg2
import pytest

from tests.services.hurry import TELLS_SOON
from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source
from tests.services.operator_room import OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import add_orders, create_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow]
TOLD_SECONDS = 60.0


@pytest.fixture
def flowing(make_flowing: Callable[..., OperatorRoom]) -> OperatorRoom:
    return make_flowing(TELLS_SOON)


def failing(room: OperatorRoom, duty: str) -> str:
    (line,) = [
        line
        for line in room.leader().page("/metrics")[1].splitlines()
        if line.startswith(f'rowlock_duty_failing{{duty="{duty}"}}')
    ]
    return line.split()[-1]


def test_a_claimer_that_fails_is_told_where_its_users_look(flowing: OperatorRoom) -> None:
    done = statuses(flowing.url)["done"]
    ((sound,),) = flowing.sql("select pg_get_functiondef('rowlock.claimer_lock'::regproc)")
    assert failing(flowing, "claimer") == "0.0"
    flowing.sql(
        "create or replace function rowlock.claimer_lock() returns bool language plpgsql as $$ begin return"
        " 1/0; end $$"
    )
    add_orders(flowing.url, 3)
    for kind in ("WorkQueue", "RowSource"):
        said = flowing.wait_condition(
            kind, "orders", status="False", reason="DutyFailing", deadline_seconds=TOLD_SECONDS
        )
        assert "The claimer of this database fails, so no run starts" in said["message"]
    wait_until(lambda: failing(flowing, "claimer") == "1.0", "the metric says so")
    flowing.sql(sound)
    wait_until(lambda: statuses(flowing.url) == {"done": done + 3}, "the rows are done", TOLD_SECONDS)
    for kind in ("WorkQueue", "RowSource"):
        flowing.wait_condition(kind, "orders", status="True", deadline_seconds=TOLD_SECONDS)
    wait_until(lambda: failing(flowing, "claimer") == "0.0", "the metric says so")


def test_who_holds_the_claimers_lock_is_named(flowing: OperatorRoom) -> None:
    done = statuses(flowing.url)["done"]
    holder = psycopg2.connect(flowing.url, application_name="forgotten")
    try:
        with holder.cursor() as cur:
            cur.execute("select pg_advisory_lock(7700, 1)")
        add_orders(flowing.url, 3)
        for kind in ("WorkQueue", "RowSource"):
            said = flowing.wait_condition(
                kind, "orders", status="False", reason="LedgerLocked", deadline_seconds=TOLD_SECONDS
            )
            assert (
                f"process {holder.get_backend_pid()} (user postgres, application forgotten" in said["message"]
            )
        assert failing(flowing, "ledger lock") == "1.0"
    finally:
        holder.close()
    wait_until(lambda: statuses(flowing.url) == {"done": done + 3}, "the rows are done", TOLD_SECONDS)
    flowing.wait_condition("WorkQueue", "orders", status="True", deadline_seconds=TOLD_SECONDS)


def test_a_duty_beside_the_way_of_rows_degrades(flowing: OperatorRoom) -> None:
    flowing.sql("alter function rowlock.sweep_v1(int, bool) rename to gone")
    said = flowing.wait_condition(
        "WorkQueue", "orders", "Degraded", status="True", reason="DutyFailing", deadline_seconds=TOLD_SECONDS
    )
    assert "The sweeper of this database fails, so runs of lost workers are not taken back" in said["message"]
    assert flowing.condition("WorkQueue", "orders")["status"] == "True"
    flowing.sql("alter function rowlock.gone(int, bool) rename to sweep_v1")
    flowing.wait_condition("WorkQueue", "orders", "Degraded", status="False", deadline_seconds=TOLD_SECONDS)


def test_a_kube_job_whose_outcome_cannot_be_written_is_told(room: OperatorRoom) -> None:
    create_orders(room.url, rows=1)
    room.create(exit_queue("resize"))
    room.create(
        row_source(
            "orders",
            workQueueRef={"name": "resize"},
            task="resize",
            columns=["id"],
            statusColumn=STATUS_COLUMN,
        )
    )
    room.operator(ready=False, otherwise=TELLS_SOON)
    wait_until(lambda: room.kube_jobs(), "its kube job exists", 40)
    room.sql("alter function rowlock.start_v1(uuid[], int[], bigint, uuid) rename to gone")
    pod = wait_until(lambda: next(iter(room.pods()), None), "its pod exists", 40)
    room.kubelet_writes(
        pod["metadata"]["name"], "Running", {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    )
    said = room.wait_condition(
        "WorkQueue", "resize", "Degraded", status="True", reason="DutyFailing", deadline_seconds=TOLD_SECONDS
    )
    assert (
        "The kube job of this database fails, so a run of a Kubernetes Job is not followed to its end"
        in said["message"]
    )
    room.sql("alter function rowlock.gone(uuid[], int[], bigint, uuid) rename to start_v1")
    room.wait_condition("WorkQueue", "resize", "Degraded", status="False", deadline_seconds=TOLD_SECONDS)


def test_a_launcher_that_cannot_read_its_runs_is_told(room: OperatorRoom) -> None:
    create_orders(room.url)
    room.create(exit_queue("resize"))
    room.operator(ready=False, otherwise=TELLS_SOON)
    room.wait_condition("WorkQueue", "resize", status="True", deadline_seconds=TOLD_SECONDS)
    room.sql("alter table rowlock.active rename column token to gone")
    said = room.wait_condition(
        "WorkQueue", "resize", status="False", reason="DutyFailing", deadline_seconds=TOLD_SECONDS
    )
    assert "launcher of this database fails, so no Kubernetes Job is made" in said["message"]
    room.sql("alter table rowlock.active rename column gone to token")
    room.wait_condition("WorkQueue", "resize", status="True", deadline_seconds=TOLD_SECONDS)
