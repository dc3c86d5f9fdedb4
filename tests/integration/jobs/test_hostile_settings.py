"""A worker's sessions pin what they rely on: a role's or a database's own settings change neither outcomes
nor values.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

import rowlock_jobs.__main__ as program
from rowlock_jobs.settings import Lease as LeaseSettings
from rowlock_jobs.settings import load_settings
from tests.integration.jobs.stage import Stage
from tests.services.hostile import make_hostile
from tests.services.pgbouncer import PgBouncer
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until

pytestmark = pytest.mark.integration
SAID = "gr\u00fc\u00dfe \\\\ back\\slash ' \u65e5\u672c \" "
LONGER_SECONDS = 1.5  # than each timeout of the role


@pytest.fixture(autouse=True)
def busy_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewals, with the progress in them, come while the task's transaction is open."""
    lease = LeaseSettings(lease_seconds=10, renew_seconds=0.2)
    monkeypatch.setattr(
        program,
        "load_settings",
        lambda environment: dataclasses.replace(load_settings(environment), lease=lease),
    )


def thought(stage: Stage, url: str) -> dict[str, Any]:
    """The run of a task that writes, reports progress, works for longer than the role allows, and reads."""
    release = stage.folder / "go"
    stage.worker(database_url=url)
    (run_id,) = stage.run("thinks", release=str(release), said=SAID)
    stage.wait_note("wrote")
    wait_until(lambda: stage.look(run_id)["progress"], "the progress was stored beside the open transaction")
    until = time.monotonic() + LONGER_SECONDS
    wait_until(lambda: time.monotonic() > until, "longer than the role allows")
    release.touch()
    return stage.wait_state(run_id, "succeeded", "pending", "dead")


@pytest.mark.parametrize("way", ["direct", "pgbouncer"])
def test_a_task_that_writes_reports_progress_and_works_then_succeeds_at_once_with_the_same_values(
    postgres: PostgresServer, redis_url: str, pgbouncer: PgBouncer, tmp_path: Path, way: str
) -> None:
    results = []
    for hostile in (False, True):
        database = postgres.new_database()
        folder = tmp_path / str(hostile)
        folder.mkdir()
        stage = Stage(make_hostile(database) if hostile else database, redis_url, folder)
        try:
            found = thought(stage, pgbouncer.url(database) if way == "pgbouncer" else database)
            assert (found["failure"], found["state"], found["attempt"]) == (None, "succeeded", 1)
            assert stage.sql("select count(*) from written") == [(2,)]
            results.append(found["result"])
            if hostile:
                until = time.monotonic() + LONGER_SECONDS
                wait_until(lambda until=until: time.monotonic() > until, "the server ended idle sessions")
                stage.wait_ended(stage.run("noop", 5) + stage.run("writes", 2) + stage.run("effect", 2))
                assert stage.sql(
                    "select count(*) from rowlock.done where state <> 'succeeded' or attempt > 1"
                ) == [(0,)]
                assert stage.workers[0].events("database_away") == []
        finally:
            stage.close()
    assert results[0] == results[1]
    assert results[0]["said"] == SAID


def test_a_task_may_choose_a_stricter_isolation_for_its_transaction(stage: Stage) -> None:
    """What is pinned is the default: nothing was asked yet when the task gets its cursor."""
    stage.worker()
    (run_id,) = stage.run("serializable")
    assert stage.wait_state(run_id, "succeeded")["result"] == "serializable"
