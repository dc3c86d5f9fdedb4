"""WorkQueues and RowSources deleted, or made anew under their names, while the ledger holds their runs."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.operator.orders import QUEUE, SOURCE
from tests.integration.operator.test_kube_jobs import running
from tests.services.hurry import FINDS_GONE_SOON
from tests.services.manifests import STATUS_COLUMN, exit_queue, row_source
from tests.services.operator_room import GROUP, OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import add_orders, create_orders, statuses

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def states(room: OperatorRoom) -> list[str]:
    return sorted(state for _, state, _, _, _ in room.runs())


def deleted(room: OperatorRoom, plural: str, name: str, **options: Any) -> None:
    path = f"{GROUP}/namespaces/{room.namespace}/{plural}/{name}"
    room.must("DELETE", path, options or None)
    wait_until(lambda: room.plane.request("GET", path)[0] == 404, f"{name} is gone", 40)


def test_runs_of_a_queue_made_anew_with_workers_run_there_once_their_kube_jobs_are_gone(
    room: OperatorRoom,
) -> None:
    """Orphaned on purpose: Kubernetes collects nothing, and nobody else would end a pod of contract Exit."""
    create_orders(room.url, rows=3)
    room.create(exit_queue("orders", tasks=["count"]))
    room.create(
        row_source("orders", workQueueRef={"name": "orders"}, task="count", statusColumn=STATUS_COLUMN)
    )
    room.operator(ready=False)
    wait_until(lambda: len(room.kube_jobs()) == 3, "three kube jobs", 60)
    pod = wait_until(
        lambda: next(iter(room.pods(room.kube_jobs()[0]["metadata"]["name"])), None), "the pod of one", 40
    )
    assert isinstance(pod, dict)
    room.kubelet_writes(pod["metadata"]["name"], "Running", running())
    wait_until(lambda: states(room) == ["launching", "launching", "running"], "one runs")
    deleted(room, "workqueues", "orders", propagationPolicy="Orphan")
    room.create(QUEUE)
    wait_until(lambda: not room.kube_jobs(), "their kube jobs are gone", 40)
    room.worker("orders", ready=False)
    wait_until(lambda: statuses(room.url) == {"done": 3}, "all of them ran", 60)
    # the one that ran in a pod is tried again
    assert sorted(attempt for _, _, attempt, _, _ in room.runs()) == [1, 1, 2]


def test_what_ends_after_its_source_and_its_only_queue_are_gone_is_told_in_the_table(
    room: OperatorRoom, tmp_path: Path
) -> None:
    create_orders(room.url, rows=1)
    release = tmp_path / "release"
    room.create({**QUEUE, "spec": {**QUEUE["spec"], "tasks": ["hold"]}})
    room.create({**SOURCE, "spec": {**SOURCE["spec"], "task": "hold"}})
    room.operator(ready=False)
    room.worker("orders", ready=False, ROWLOCK_TEST_RELEASE=str(release))
    wait_until(lambda: states(room) == ["running"], "its row is held by its task", 60)
    deleted(room, "rowsources", "orders")
    deleted(room, "workqueues", "orders")
    wait_until(
        lambda: room.sql("select count(*) from rowlock.queue where deleted") == [(1,)],
        "the operator has seen it",
    )
    release.touch()
    wait_until(
        lambda: statuses(room.url) == {"done": 1},
        "the outcome is in the table, though its database has no queue",
    )
    assert room.sql("select retired_at is not null from rowlock.source") == [(True,)]


def test_sources_deleted_while_nobody_led_are_found_gone_by_the_next_leader(
    room: OperatorRoom, tmp_path: Path
) -> None:
    create_orders(room.url, rows=1)
    release = tmp_path / "release"
    room.create({**QUEUE, "spec": {**QUEUE["spec"], "tasks": ["hold"]}})
    room.create({**SOURCE, "spec": {**SOURCE["spec"], "task": "hold"}})
    first = room.operator(ready=False)
    room.worker("orders", ready=False, ROWLOCK_TEST_RELEASE=str(release))
    wait_until(lambda: states(room) == ["running"], "its row is held by its task", 60)
    room.kill(first)
    deleted(room, "rowsources", "orders")
    add_orders(room.url, 1)
    release.touch()
    room.operator(ready=False, otherwise=FINDS_GONE_SOON)
    wait_until(
        lambda: statuses(room.url) == {"done": 1, "new": 1},
        "the outcome is in the table; no further row was taken",
        60,
    )
    wait_until(
        lambda: room.sql("select retired_at is not null from rowlock.source") == [(True,)],
        "the ledger knows it is gone",
        40,
    )
