"""A WorkQueue that is gone is not called suspended, and is not shown for ever."""

import pytest

from tests.integration.cli.stage import BAD_ROW, Invoke, Worker, enqueued
from tests.services.postgres import connect

pytestmark = pytest.mark.integration


@pytest.fixture
def gone(database: str, invoke: Invoke) -> str:
    """The queue demo/documents, as the operator leaves it once its WorkQueue is deleted."""
    with connect(database) as cur:
        cur.execute("update rowlock.queue set suspended = true, deleted = true where name = 'demo/documents'")
    return "demo/documents"


def test_what_is_left_of_it_is_said_with_what_ends_it(gone: str, invoke: Invoke) -> None:
    run_id = enqueued(invoke)
    remedy = f"`rowlock cancel --queue {gone} --all-waiting`"
    for words in (("why", run_id), ("why", "queue", gone)):
        result = invoke(*words)
        assert result.exit_code == 0, result.output
        said = result.stdout
        assert ("Its WorkQueue is deleted" in said, remedy in said, "suspend" in said) == (True, True, False)
    assert f"The WorkQueue of {gone} is deleted and has runs left" in invoke("health").stdout
    assert f"{gone} (deleted)" in invoke("monitor", "--once").stdout
    assert [line.split()[:3] for line in invoke("info").stdout.splitlines() if line.startswith(gone)] == [
        [gone, "Workers", "deleted"]
    ]


def test_it_is_shown_no_more_once_nothing_is_left(
    gone: str, invoke: Invoke, worker: Worker, database: str
) -> None:
    with connect(database) as cur:
        cur.execute("update rowlock.queue set suspended = false, deleted = false")
    enqueued(invoke)
    worker.run("failed", failure=BAD_ROW)
    with connect(database) as cur:
        cur.execute("update rowlock.queue set suspended = true, deleted = true where name = %s", (gone,))
    assert gone in invoke("info").stdout, "a dead letter waits for a person"
    assert invoke("delete-runs", "--queue", gone, "--yes").exit_code == 0
    for words in (("info",), ("health",), ("monitor", "--once")):
        assert gone not in invoke(*words).stdout
    assert "deleted" in invoke("why", "queue", gone).stdout
