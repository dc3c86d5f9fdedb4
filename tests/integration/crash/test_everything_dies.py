"""Everything dies at random and at once: dispatcher at every named step, worker parents and children, Redis
with all it had, PostgreSQL.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.crash.stage import CrashStage
from tests.services.crashing_dispatcher import STEPS
from tests.services.process import wait_until

pytestmark = pytest.mark.integration

SEED = int(os.environ.get("ROWLOCK_CRASH_SEED", "20261"))


def test_a_worker_child_that_is_killed_costs_a_retry_and_nothing_else(stage: CrashStage) -> None:
    stage.orders(60)
    stage.dispatcher()
    worker = stage.worker(rowlock_test_task_seconds="0.05")
    for begun in (2, 10, 20):
        wait_until(lambda begun=begun: len(stage.journal.lines()) >= begun, "it works", 20)
        wait_until(worker.kill_child, "there is a child to kill")
    stage.wait_done(60, 30)
    assert stage.violations(60) == []
    assert worker.alive
    # a child may have been idle
    assert sum(n for (n,) in stage.sql("select infra_tries from rowlock.done")) in (1, 2, 3)


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing_within_its_lease(stage: CrashStage) -> None:
    stage.orders(60)
    stage.dispatcher()
    lost = stage.worker(rowlock_test_task_seconds="60")
    wait_until(lambda: stage.journal.lines(), "it has begun a run")
    lost.kill()
    stage.worker()
    stage.wait_done(60, 30)  # 10 s of lease, then the sweep
    assert stage.violations(60) == []


@pytest.mark.slow
def test_fifteen_hundred_rows_outlive_the_death_of_everything(stage: CrashStage) -> None:
    rows, chance = 1500, random.Random(SEED)
    print(f"seed {SEED}: repeat with ROWLOCK_CRASH_SEED={SEED}")
    stage.orders(rows)
    stage.dispatcher(*STEPS, probability=0.02, deaths=25, seed=SEED, batch=50, stale_seconds=1.0)
    crew = [stage.worker(rowlock_test_task_seconds="0.02") for _ in range(2)]

    def kill_parent() -> None:
        slot = chance.randrange(len(crew))
        crew[slot].kill()
        crew[slot] = stage.worker(ready=False, rowlock_test_task_seconds="0.02")

    def restart_redis() -> None:
        stage.redis.kill()
        stage.redis.start()

    def restart_postgres() -> None:
        stage.postgres.kill()
        stage.postgres.start()

    blows: list[Callable[[], object]] = [
        *[lambda: crew[chance.randrange(len(crew))].kill_child()] * 4,
        *[kill_parent] * 4,
        *[stage.redis.flush] * 2,
        restart_redis,
        restart_postgres,
    ]
    chance.shuffle(blows)
    for number, blow in enumerate(blows, start=1):
        # a blow each so many outcomes: all of them fall while there is work
        reached = rows * number // (len(blows) + 2)
        wait_until(
            lambda reached=reached: stage.ended() >= reached, f"{reached} rows ended before blow {number}", 60
        )
        blow()
    stage.wait_done(rows, 90)
    print(f"deaths of the dispatcher: {dict(stage.deaths())}; attempts: {len(stage.journal.lines())}")
    assert stage.violations(rows) == []
    assert len(stage.deaths()) >= 4, "too few steps were struck for this to show anything"


@pytest.mark.slow
def test_two_dispatchers_at_once_that_both_die_double_nothing(stage: CrashStage, tmp_path: Path) -> None:
    """Two leaders, as after a network partition: the fences hold without an election."""
    rows = 300
    stage.orders(rows)
    for seed in (SEED, SEED + 1):
        stage.dispatcher(*STEPS, probability=0.03, deaths=6, seed=seed, stale_seconds=0.5)
    stage.worker(rowlock_test_task_seconds="0.01")
    stage.wait_done(rows, 60)
    assert stage.violations(rows) == []
