"""What is done is not done again because its outcome has to wait: the lease is renewed beside every call that
waits.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import psycopg2
import pytest

import rowlock_jobs.__main__ as program
from rowlock_jobs import wiring
from rowlock_jobs.fence.connection import FenceConnection
from rowlock_jobs.settings import Lease as LeaseSettings
from rowlock_jobs.settings import load_settings
from rowlock_jobs.worker.lease import Lease
from tests.integration.jobs.stage import Stage
from tests.services.process import wait_until

pytestmark = pytest.mark.integration
LEASE_SECONDS = TRY_SECONDS = 3.0
LONGER_SECONDS = 5.0  # than the lease, and than one try of a fence


@pytest.fixture(autouse=True)
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of these tests are forks: their lease lapses after three seconds of silence, and a try of a
    fence lasts as long.
    """
    lease = LeaseSettings(lease_seconds=LEASE_SECONDS, renew_seconds=0.5)
    monkeypatch.setattr(
        program, "load_settings", lambda environment: replace(load_settings(environment), lease=lease)
    )
    monkeypatch.setattr(
        wiring, "FenceConnection", partial(FenceConnection, statement_timeout_ms=int(TRY_SECONDS * 1000))
    )


@contextmanager
def held(stage: Stage, *statements: str) -> Iterator[None]:
    """The statements, each in a session of its own and in a transaction that stays open."""
    sessions = [psycopg2.connect(stage.database) for _ in statements]
    try:
        for session, statement in zip(sessions, statements, strict=True):
            session.cursor().execute(statement)
        yield
    finally:
        for session in sessions:
            session.close()


@contextmanager
def waiting_ddl(stage: Stage) -> Iterator[None]:
    """Somebody reads the history, somebody else wants to alter it: whoever comes then waits for both."""
    alters = psycopg2.connect(stage.database, async_=True)
    with held(stage, "select count(*) from rowlock.done"):
        wait_until(lambda: alters.poll() == psycopg2.extensions.POLL_OK, "the second session is open")
        alters.cursor().execute("alter table rowlock.done add column noted text")
        waits = (
            "select true from pg_stat_activity where wait_event_type = 'Lock' and query like 'alter table%%'"
        )
        wait_until(
            lambda: alters.poll() != psycopg2.extensions.POLL_OK and stage.sql(waits),
            "it waits for the reader",
        )
        yield
        alters.close()


WAITS: dict[str, Callable[[Stage], object]] = {
    "the history is locked": lambda stage: held(stage, "lock table rowlock.done in share mode"),
    "a change of the history waits behind a reader": waiting_ddl,
    "the run itself is locked": lambda stage: held(stage, "select 1 from rowlock.active for update"),
}


def others_go_on(stage: Stage, seconds: float, until: Callable[[], object] = lambda: False) -> None:
    """The operator sweeps and claims for so long, or until something happens."""
    end = time.monotonic() + seconds

    def turn() -> object:
        stage.sweep()
        stage.dispatch(0)
        return time.monotonic() > end or until()

    wait_until(turn, "the time is over", seconds + 10)


@pytest.mark.parametrize("why", WAITS)
def test_an_outcome_that_waits_is_taken_once_and_nothing_runs_twice(stage: Stage, why: str) -> None:
    release = stage.folder / "go"
    stage.worker()
    (run_id,) = stage.run("hold", release=str(release))
    stage.wait_note("begin")
    stage.worker()  # would take what the sweep gives away
    with WAITS[why](stage):  # type: ignore[attr-defined]
        release.touch()
        stage.wait_note("end")
        others_go_on(stage, LONGER_SECONDS)
        assert stage.sql("select state, attempt from rowlock.active where id = %s", run_id) == [
            ("running", 1)
        ]
    found = stage.wait_state(run_id, "succeeded")
    assert (found["attempt"], found["infra_tries"], found["result"]) == (1, 0, "released")
    assert len(stage.notes("begin")) == 1


def test_without_the_renewals_beside_it_runs_twice(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative twin."""
    monkeypatch.setattr(Lease, "keep", lambda _self: None)
    monkeypatch.setattr(Lease, "_renew_by", lambda _self, _ledger: None)
    release = stage.folder / "go"
    stage.worker()
    stage.run("hold", release=str(release))
    stage.wait_note("begin")
    stage.worker()
    with held(stage, "lock table rowlock.done in share mode"):
        release.touch()
        others_go_on(stage, 20, lambda: len(stage.notes("begin")) == 2)
    assert len(stage.notes("begin")) == 2


def test_a_handful_that_waits_and_the_run_at_work_beside_it_run_once(stage: Stage) -> None:
    """Those that ended early are recorded in one try while the long one runs: that try may not cost its
    lease.
    """
    release = stage.folder / "go"
    stage.worker()
    stage.wait_ended(stage.run("noop", 40))  # short ones: the worker takes several at once from now on
    stage.worker()
    with held(stage, "lock table rowlock.done in share mode"):
        ids = (
            stage.enqueue("noop", 3) + stage.enqueue("hold", release=str(release)) + stage.enqueue("noop", 3)
        )
        stage.dispatch(7)
        stage.wait_note("begin")
        others_go_on(stage, LONGER_SECONDS)
        release.touch()
    stage.wait_ended(ids)
    assert {(stage.look(each)["state"], stage.look(each)["infra_tries"]) for each in ids} == {
        ("succeeded", 0)
    }
    assert len(stage.notes("begin")) == 1
    assert len(stage.notes("noop")) == 46


def test_a_tasks_transaction_waits_with_its_finish_and_is_done_once(stage: Stage) -> None:
    release = stage.folder / "go"
    stage.worker()
    (run_id,) = stage.run("writes", release=str(release))
    stage.wait_note("wrote")
    stage.worker()
    with held(stage, "lock table rowlock.done in share mode"):
        release.touch()
        others_go_on(stage, LONGER_SECONDS)
    assert stage.wait_state(run_id, "succeeded")["attempt"] == 1
    assert stage.sql("select count(*) from written") == [(1,)]


def test_a_pod_that_must_end_records_an_outcome_that_waits(stage: Stage) -> None:
    """Within its grace, which is longer than the lease."""
    release = stage.folder / "go"
    worker = stage.worker(grace_seconds="30")
    (run_id,) = stage.run("hold", release=str(release))
    stage.wait_note("begin")
    with held(stage, "lock table rowlock.done in share mode"):
        release.touch()
        stage.wait_note("end")
        worker.terminate()
        others_go_on(stage, LONGER_SECONDS)
    assert worker.wait() == 0
    found = stage.look(run_id)
    assert (found["state"], found["attempt"]) == ("succeeded", 1)
