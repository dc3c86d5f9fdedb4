"""What a task writes to its standard streams is bounded, and what it does to them is nobody's loss."""

import pytest

from tests.integration.jobs.stage import WorkerProcess
from tests.integration.mistakes_tasks.conftest import BadStage, grown_bytes

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("how", ["print", "stderr", "log"])
def test_a_task_that_writes_100_mb_succeeds_and_a_tenth_of_it_is_kept(stage: BadStage, how: str) -> None:
    worker = stage.worker()
    assert stage.works("prints", how=how) == "printed"
    size = worker.log.stat().st_size
    assert 9_000_000 < size < 12_000_000
    assert b"characters of this run's output were dropped" in worker.log.read_bytes()
    assert grown_bytes(worker.pid) < 60_000_000
    stage.the_next_run_is_well(worker)
    assert b"said\n" in worker.log.read_bytes()[size:], "the next run may speak again"


@pytest.mark.parametrize(
    "what",
    [
        "sys.stdout",
        "sys.stdout closed",
        "descriptor 1 closed",
        "descriptor 1 replaced",
        "half a line",
        "binary noise",
    ],
)
def test_a_task_that_spoils_its_standard_streams_succeeds_and_the_next_run_is_heard(
    stage: BadStage, worker: WorkerProcess, what: str
) -> None:
    assert stage.works("spoils", what=what) == "spoiled"
    before = worker.log.stat().st_size
    stage.the_next_run_is_well(worker)
    assert b"said\n" in worker.log.read_bytes()[before:]
