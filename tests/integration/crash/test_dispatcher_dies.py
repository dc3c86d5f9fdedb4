"""The dispatcher is killed (SIGKILL, by itself) at every step between two of its writes; another one goes on
with nothing but the stores.
"""

import pytest

from tests.integration.crash.stage import CrashStage
from tests.services.crashing_dispatcher import STEPS
from tests.services.process import wait_until

pytestmark = pytest.mark.integration

ROWS = 60
# These need something to have gone wrong before: claims that Redis lost, a worker that was lost.
AFTER_A_LOSS = ("before_unqueue", "after_unqueue", "after_sweep")


@pytest.mark.parametrize("step", [step for step in STEPS if step not in AFTER_A_LOSS])
def test_nothing_is_lost_or_doubled_by_a_dispatcher_that_dies(stage: CrashStage, step: str) -> None:
    stage.orders(ROWS)
    stage.worker(ready=False, rowlock_test_task_seconds="0.02")
    stage.dispatcher(step, probability=0.5, deaths=3)
    stage.wait_done(ROWS, 30)
    assert stage.violations(ROWS) == []
    assert stage.deaths()[step] >= 1, "it never died, so nothing was shown"


@pytest.mark.parametrize("step", ["before_unqueue", "after_unqueue"])
def test_claims_that_redis_lost_come_back_although_the_dispatcher_dies_over_them(
    stage: CrashStage, step: str
) -> None:
    stage.orders(ROWS)
    stage.dispatcher(step, probability=1.0, deaths=3, batch=ROWS, stale_seconds=2.0)
    wait_until(lambda: stage.copies() == ROWS, "all are handed out")
    stage.redis.flush()
    wait_until(lambda: stage.deaths()[step] >= 1, "it died", 20)
    stage.worker()
    stage.wait_done(ROWS, 30)
    assert stage.violations(ROWS) == []


@pytest.mark.parametrize("step", ["before_sweep", "after_sweep"])
def test_runs_of_a_lost_worker_come_back_although_the_dispatcher_dies_over_them(
    stage: CrashStage, step: str
) -> None:
    stage.orders(ROWS)
    stage.dispatcher(step, probability=1.0, deaths=3)
    for lost in range(1, 4):
        worker = stage.worker(rowlock_test_task_seconds="60")
        wait_until(lambda lost=lost: len(stage.journal.lines()) == lost, "it has begun a run")
        worker.kill()
        stage.lapse(worker)
    wait_until(lambda: stage.deaths()[step] >= 1, "it died", 20)
    stage.worker()
    stage.wait_done(ROWS, 30)
    assert stage.violations(ROWS) == []
    assert sum(attempt > 1 for (attempt,) in stage.sql("select attempt from rowlock.done")) == 3
