"""A result that cannot be kept is refused with its reason; it never fills the memory of the worker or the ledger."""

import pytest

from tests.integration.jobs.stage import WorkerProcess
from tests.integration.mistakes_tasks.conftest import BadStage, grown_bytes

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("what", ["100 MB of text", "100 MB of numbers"])
def test_a_result_of_100_mb_is_refused_once_and_leaves_no_memory_behind(stage: BadStage, what: str) -> None:
    worker = stage.worker()
    before = stage.works("describe")["pid"]
    (run_id,) = stage.run("returns", what=what)
    found = stage.wait_state(run_id, "dead", deadline_seconds=60)
    assert (found["failure"]["class"], found["failure"]["reason"], found["attempt"]) == ("app", "ResultTooLarge", 1)
    assert "1000000 are allowed; store it elsewhere" in found["failure"]["message"]
    stage.the_next_run_is_well(worker)
    assert stage.works("describe")["pid"] == before, "the process of the tasks is not worn out by it"
    assert grown_bytes(worker.pid) < 60_000_000, "the parent never held it"
    assert stage.sql("select pg_total_relation_size('rowlock.done') < 10000000 or count(*) > 0 from rowlock.done") == [(True,)]


@pytest.mark.parametrize(
    ("what", "reason", "words"),
    [
        ("a date", "ResultNotJson", "not JSON serializable"),
        ("bytes", "ResultNotJson", "bytes"),
        ("a set", "ResultNotJson", "set"),
        ("a lazy object", "ResultNotJson", "the cursor is closed"),
        ("deep", "ResultNotJson", "recursion"),
        ("a huge number", "ResultNotJson", "digits"),
    ],
)
def test_a_result_that_is_no_json_says_what_is_wrong_with_it_and_is_not_tried_again(
    stage: BadStage, worker: WorkerProcess, what: str, reason: str, words: str
) -> None:
    (run_id,) = stage.run("returns", what=what)
    found = stage.wait_state(run_id, "dead", deadline_seconds=60)
    assert (found["failure"]["class"], found["failure"]["reason"], found["attempt"]) == ("app", reason, 1)
    assert words in found["failure"]["message"]
    stage.the_next_run_is_well(worker)


def test_a_result_that_the_ledger_cannot_store_leaves_a_remark_in_its_place(stage: BadStage, worker: WorkerProcess) -> None:
    """The work is done by then."""
    (run_id,) = stage.run("returns", what="half a character")
    found = stage.wait_state(run_id, "succeeded")
    assert (found["result"]["remark"], found["attempt"]) == ("ResultNotStorable", 1)
    stage.the_next_run_is_well(worker)
