"""A run whose WorkQueue does not exist, or does not run its task, says so wherever somebody looks."""

import json

import pytest

from tests.integration.cli.stage import Invoke, Worker, enqueued
from tests.services.postgres import connect

pytestmark = pytest.mark.integration
LATER = "demo/later"


def test_a_run_waits_visibly_for_a_work_queue_that_does_not_exist(
    invoke: Invoke, worker: Worker, database: str
) -> None:
    refused = invoke("enqueue", LATER, "t")
    assert (refused.exit_code, "there is no queue demo/later" in refused.output) == (1, True)
    run_id = enqueued(invoke, "--wait-for-queue", queue=LATER)
    assert "waits for a WorkQueue that does not exist" in invoke("runs").stdout
    for words in (("why", run_id), ("why", "queue", LATER)):
        said = invoke(*words).stdout
        assert ("Its WorkQueue does not exist yet: create demo/later" in said, "suspend" in said) == (
            True,
            False,
        )
    assert f"Runs wait for the WorkQueue {LATER}, which does not exist" in invoke("health").stdout
    assert f"{LATER} (deleted)" in invoke("monitor", "--once").stdout
    assert worker.claim() == []
    with connect(database) as cur:  # as the operator registers it
        cur.execute(
            "update rowlock.queue set suspended = false, deleted = false, expected = false where name = %s",
            (LATER,),
        )
    assert worker.claim() == [(run_id, 1)]
    assert "does not exist" not in invoke("runs").stdout + invoke("health").stdout


def test_a_list_of_tasks_that_shrank_is_told_while_its_runs_wait(invoke: Invoke, database: str) -> None:
    run_id, other = enqueued(invoke), enqueued(invoke, queue="demo/mail")
    with connect(database) as cur:
        cur.execute("update rowlock.queue set tasks = array['another']")
    refused = invoke("enqueue", "documents", "process_document")
    assert (refused.exit_code, "Its spec.tasks: another" in refused.output) == (1, True)
    assert "The task process_document is not in spec.tasks of its WorkQueue" in invoke("why", run_id).stdout
    assert (
        "runs of the task process_document, which is not in spec.tasks"
        in invoke("why", "queue", "demo/mail").stdout
    )
    assert json.loads(invoke("why", other, "-o", "json").stdout)["surroundings"]["tasks"] == ["another"]


def test_a_deleted_queue_is_said_in_the_list(invoke: Invoke, database: str) -> None:
    enqueued(invoke)
    with connect(database) as cur:
        cur.execute("update rowlock.queue set suspended = true, deleted = true")
    assert "waits: its WorkQueue is deleted" in invoke("runs").stdout
