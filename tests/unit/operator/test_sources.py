"""A RowSource against its WorkQueue."""

from typing import Any

import pytest

from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.sources import CheckedSource, check_source
from rowlock_operator.errors import GiveUp
from tests.services.manifests import STATUS_COLUMN, row_source, work_queue

DATABASE = {"secretName": "shop", "key": "admin"}


def check(source: dict[str, Any], queue: dict[str, Any] | None) -> CheckedSource:
    parsed = None if queue is None else WorkQueue.parse(queue)
    return check_source(RowSource.parse(source), parsed, default_database_secret="rowlock-database")


def test_a_source_that_fits_is_read() -> None:
    checked = check(
        row_source(table="shop.Orders", orderBy=["created_at desc"], statusColumn=STATUS_COLUMN), work_queue()
    )
    assert (checked.schema, checked.table) == ("shop", "Orders")
    assert checked.order_by == (("created_at", True), ("id", False))
    assert checked.pending.columns == {"status"}
    assert (checked.database.secret_name, checked.database.key) == ("rowlock-database", "url")


@pytest.mark.parametrize(
    ("source", "queue"),
    [
        pytest.param(row_source(), work_queue(databaseRef=DATABASE), id="the queue's"),
        pytest.param(row_source(databaseRef=DATABASE), work_queue(databaseRef=DATABASE), id="the same"),
        pytest.param(
            row_source(databaseRef={**DATABASE, "workerKey": "x"}),
            work_queue(databaseRef=DATABASE),
            id="the worker key is the queue's",
        ),
    ],
)
def test_the_database_of_a_source_is_its_queues(source: dict[str, Any], queue: dict[str, Any]) -> None:
    assert check(source, queue).database.secret_name == "shop"


@pytest.mark.parametrize(
    ("source", "queue", "reason", "words"),
    [
        pytest.param(row_source(), None, "WorkQueueMissing", "create it or correct", id="no queue"),
        pytest.param(
            row_source(task="other"),
            work_queue(),
            "TaskNotAllowed",
            "add it there or correct spec.task",
            id="task",
        ),
        pytest.param(
            row_source(databaseRef=DATABASE),
            work_queue(),
            "DatabaseMismatch",
            "remove it",
            id="another database",
        ),
        pytest.param(
            row_source(databaseRef=DATABASE),
            work_queue(databaseRef={**DATABASE, "key": "url"}),
            "DatabaseMismatch",
            "remove it",
            id="another key",
        ),
        pytest.param(
            row_source(pending="exists (select 1)"),
            work_queue(),
            "InvalidSpec",
            "spec.pending: it holds a query",
            id="pending",
        ),
        pytest.param(
            row_source(table="rowlock.active"), work_queue(), "InvalidSpec", "spec.table", id="our own table"
        ),
        pytest.param(
            row_source(pending="true", statusColumn=STATUS_COLUMN),
            work_queue(),
            "PendingStaysTrue",
            "add a condition on status",
            id="for ever",
        ),
    ],
)
def test_a_source_that_does_not_fit_says_what_to_change(
    source: dict[str, Any], queue: dict[str, Any] | None, reason: str, words: str
) -> None:
    with pytest.raises(GiveUp) as refused:
        check(source, queue)
    assert refused.value.reason == reason
    assert words in str(refused.value)
