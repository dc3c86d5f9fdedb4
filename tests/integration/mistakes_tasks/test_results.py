"""A result that cannot be kept leaves a remark in its place; it never fills the memory of the worker or the
ledger.
"""

import pytest

from tests.integration.jobs.stage import WorkerProcess
from tests.integration.mistakes_tasks.conftest import BadStage, grown_bytes

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("what", ["100 MB of text", "100 MB of numbers"])
def test_a_result_of_100_mb_leaves_a_remark_and_no_memory_behind(stage: BadStage, what: str) -> None:
    worker = stage.worker()
    before = stage.works("describe")["pid"]
    (run_id,) = stage.run("returns", what=what)
    found = stage.wait_state(run_id, "succeeded", deadline_seconds=60)
    assert (found["result"]["remark"], found["attempt"]) == ("ResultTooLarge", 1)
    assert "1000000 are allowed; store it elsewhere" in found["result"]["message"]
    stage.the_next_run_is_well(worker)
    assert stage.works("describe")["pid"] == before, "the process of the tasks is not worn out by it"
    assert grown_bytes(worker.pid) < 60_000_000, "the parent never held it"
    assert stage.sql(
        "select pg_total_relation_size('rowlock.done') < 10000000 or count(*) > 0 from rowlock.done"
    ) == [(True,)]


@pytest.mark.parametrize(
    ("what", "remark", "words"),
    [
        ("a date", "ResultNotJson", "not JSON serializable"),
        ("a lazy object", "ResultNotJson", "the cursor is closed"),
        ("deep", "ResultNotJson", "recursion"),
        ("a huge number", "ResultNotJson", "digits"),
        ("half a character", "ResultNotStorable", "half a character"),
    ],
)
def test_a_result_that_is_no_json_says_what_is_wrong_with_it_and_the_work_is_not_done_again(
    stage: BadStage, worker: WorkerProcess, what: str, remark: str, words: str
) -> None:
    (run_id,) = stage.run("returns", what=what)
    found = stage.wait_state(run_id, "succeeded", deadline_seconds=60)
    assert (found["result"]["remark"], found["attempt"]) == (remark, 1)
    assert words in found["result"]["message"]
    stage.the_next_run_is_well(worker)


def test_dates_numbers_ids_and_bytes_in_a_result_look_as_they_do_in_arguments(stage: BadStage) -> None:
    """What a row holds comes back as it was given."""
    stage.worker()
    (row,) = stage.sql(
        """select to_jsonb(t) from (select timestamptz '2026-01-02 03:04:05+00' as at,
          date '2026-01-02' as on, 'NaN'::float8 as nan,
           '\\x00ff'::bytea as raw, '01a206a9-693f-7ce0-93cb-cfb87fa51e52'::uuid as id) t""",
    )
    assert stage.works("returns", what="all kinds") == row[0] | {
        "set": [1, 2],
        "price": "1.10",
        "color": "red",
    }


def test_writes_stay_where_the_result_beside_them_cannot_be_kept(stage: BadStage) -> None:
    worker = stage.worker()
    (run_id,) = stage.run("returns", what="half a character", writes=True)
    assert stage.wait_state(run_id, "succeeded")["result"]["remark"] == "ResultNotStorable"
    assert stage.sql("select count(*) from written where run = %s", run_id) == [(1,)]
    assert worker.wait_event("run_finished")["remark"] == "ResultNotStorable"


@pytest.mark.parametrize("what", ["a generator", "a lazy map"])
def test_a_result_that_would_have_to_run_first_is_no_success(
    stage: BadStage, worker: WorkerProcess, what: str
) -> None:
    failure = stage.fails("returns", what=what)
    assert (failure["class"], failure["reason"], failure["permanent"]) == ("app", "NothingRan", True)
    assert "loop over it in the task" in failure["message"]
