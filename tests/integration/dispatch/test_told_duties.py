"""What keeps the duties of a database from their work is told: who holds a lock, which duty fails; and no
more once it is over.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from click.testing import CliRunner

from rowlock_cli.main import rowlock
from rowlock_operator.dispatch.database import DispatchSettings
from rowlock_operator.dispatch.housekeeper import HousekeeperSettings
from rowlock_operator.dispatch.watch import WatchSettings
from rowlock_operator.rows.migrations import migrate
from rowlock_operator.rows.pool import Pool
from tests.services.ledger_schema import LATER_MIGRATION, later_ledger
from tests.services.postgres import PostgresServer, connect
from tests.services.process import wait_until
from tests.services.rows import BareRunner, Bench, add_orders, create_orders, dispatching, statuses

pytestmark = pytest.mark.integration
SETTINGS = DispatchSettings(
    watch=WatchSettings(
        every_seconds=0.1, suspicious_seconds=0.5, bound_seconds=1.5, lasting_seconds=1.0, quiet_seconds=1.5
    ),
    housekeeper=HousekeeperSettings(every_seconds=0.5, retain_seconds=0.5),
)


@pytest.fixture
def bench(database: str, redis_url: str) -> Iterator[Bench]:
    create_orders(database)
    with (
        dispatching(database, redis_url, settings=SETTINGS) as bench,
        BareRunner(database, redis_url, lambda args: None),
    ):
        bench.source()
        yield bench


@contextlib.contextmanager
def session(url: str, *statements: str, name: str = "psql", autocommit: bool = False) -> Iterator[Any]:
    connection = psycopg2.connect(url, application_name=name)
    connection.autocommit = autocommit
    try:
        with connection.cursor() as cur:
            for statement in statements:
                cur.execute(statement)
            yield connection
    finally:
        connection.close()


def stopping(bench: Bench) -> dict[str, str]:
    return {
        each.reason: each.message for each in bench.dispatcher.state.troubles_of_queue(jobs_mode=False)[0]
    }


def degrading(bench: Bench) -> dict[str, str]:
    return {
        each.reason: each.message for each in bench.dispatcher.state.troubles_of_queue(jobs_mode=False)[1]
    }


def all_done(url: str, rows: int) -> None:
    wait_until(lambda: statuses(url) == {"done": rows}, "every row is done", 30)


HOLDERS = {
    "the claimer's lock, by the session": (["select pg_advisory_lock(7700, 1)"], True, "the claimer's lock"),
    "a table": (["lock table rowlock.active in exclusive mode"], False, "a lock on rowlock.active"),
    "a lane": (["update rowlock.lane set at = at"], False, ""),
}


@pytest.mark.parametrize(("statements", "autocommit", "what"), HOLDERS.values(), ids=HOLDERS)
def test_who_holds_what_the_duties_need_is_named_and_rows_flow_once_it_is_released(
    bench: Bench, database: str, statements: list[str], autocommit: bool, what: str
) -> None:
    add_orders(database, 1)
    all_done(database, 1)
    with session(database, *statements, autocommit=autocommit) as holder:
        add_orders(database, 1)
        pid = holder.get_backend_pid()
        wait_until(lambda: "LedgerLocked" in stopping(bench), "it is told", 30)
        said = stopping(bench)["LedgerLocked"]
        assert f"process {pid} (user postgres, application psql, from 127.0.0.1, connected since 20" in said
        assert f"pg_terminate_backend({pid})" in said
        assert what in said
        assert statements[0] not in said
        with connect(database) as cur:
            wait_until(
                lambda: (
                    not cur.execute("select 1 from rowlock.duty_trouble where duty = 'ledger lock'")
                    and cur.fetchone()
                ),
                "told",
                10,
            )
        told = CliRunner().invoke(rowlock, ["health"], env={"ROWLOCK_DATABASE_URL": database})
        assert (told.exit_code, f"process {pid} (user postgres" in told.output) == (1, True), told.output
    wait_until(lambda: not stopping(bench), "nobody holds it any more", 30)
    all_done(database, 2)
    with connect(database) as cur:
        wait_until(
            lambda: not cur.execute("select 1 from rowlock.duty_trouble") and not cur.fetchall(),
            "nothing is left of it",
            10,
        )


def test_two_operators_take_turns_and_neither_is_told(bench: Bench, database: str, redis_url: str) -> None:
    with dispatching(database, redis_url, settings=SETTINGS) as other:
        for rows in (100, 200, 300):
            add_orders(database, 100)
            all_done(database, rows)
            assert (stopping(bench), stopping(other)) == ({}, {})


def test_an_operator_that_is_stuck_with_the_lock_is_told(bench: Bench, database: str) -> None:
    """The twin of taking turns."""
    with session(
        database,
        "set idle_in_transaction_session_timeout = 0",
        "select pg_advisory_xact_lock(7700, 1)",
        name="rowlock-operator",
    ):
        wait_until(
            lambda: "application rowlock-operator" in stopping(bench).get("LedgerLocked", ""),
            "it is told",
            30,
        )


def test_a_claimer_that_fails_is_told_and_one_hiccup_is_not(bench: Bench, database: str) -> None:
    with connect(database) as cur:
        broken = (
            "create or replace function rowlock.claimer_lock() returns bool language plpgsql as $$ begin"
            " raise 'odd %', 1/0; end $$"
        )
        cur.execute("select pg_get_functiondef('rowlock.claimer_lock'::regproc)")
        lock = cur.fetchone()[0]
        cur.execute(broken)
        wait_until(lambda: bench.dispatcher.state.errors, "it fails")
        cur.execute(lock)
        wait_until(lambda: not bench.dispatcher.state.errors, "it works again")
        assert stopping(bench) == {}
        wait_until(lambda: not bench.dispatcher.state.failing.any(), "it is forgotten", 20)
        cur.execute(broken)
        add_orders(database, 3)
        wait_until(lambda: "DutyFailing" in stopping(bench), "it is told", 30)
        said = stopping(bench)["DutyFailing"]
        assert "The claimer of this database fails, so no run starts" in said
        assert "division by zero" in said
        entry = bench.dispatcher.state.sources["default/orders"]
        assert [each.reason for each in bench.dispatcher.state.troubles_of_source(entry)[0]] == [
            "DutyFailing"
        ]
        wait_until(
            lambda: not cur.execute("select 1 from rowlock.duty_trouble") and cur.fetchone(),
            "the command line can read it",
            10,
        )
        told = CliRunner().invoke(rowlock, ["health"], env={"ROWLOCK_DATABASE_URL": database})
        assert (told.exit_code, "division by zero" in told.output) == (1, True)
        assert (
            "division by zero"
            in CliRunner()
            .invoke(rowlock, ["why", "queue", "orders"], env={"ROWLOCK_DATABASE_URL": database})
            .output
        )
        cur.execute(lock)
    all_done(database, 3)
    wait_until(lambda: not stopping(bench), "it is well", 30)


@pytest.mark.parametrize(
    ("duty", "function"), [("sweeper", "sweep_v1(int, bool)"), ("housekeeper", "retain_v1(int)")]
)
def test_other_duties_that_fail_degrade_and_rows_flow(
    bench: Bench, database: str, duty: str, function: str
) -> None:
    with connect(database) as cur:
        cur.execute(f"alter function rowlock.{function} rename to gone")
        wait_until(lambda: duty in degrading(bench).get("DutyFailing", ""), "it is told", 30)
        assert stopping(bench) == {}
        add_orders(database, 1)
        all_done(database, 1)
        cur.execute(
            f"alter function rowlock.gone{function[function.index('(') :]} rename to"
            f" {function[: function.index('(')]}"
        )
    wait_until(lambda: not degrading(bench), "it is well", 30)


def test_a_source_that_cannot_be_fed_for_an_unheard_of_reason_does_not_stop_the_rounds(
    bench: Bench, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.dispatcher.claimer._feeder, "run_once", lambda **_: 1 / 0)  # noqa: SLF001 - no input is known that does it
    with connect(database) as cur:
        cur.execute("select rowlock.enqueue_v1('default/orders', 'bill')::text")
        run_id = cur.fetchone()[0]
        wait_until(
            lambda: not cur.execute("select 1 from rowlock.done where id = %s", (run_id,)) and cur.fetchone(),
            "what is in the ledger goes on",
            20,
        )
    wait_until(lambda: "claimer" in stopping(bench).get("DutyFailing", ""), "it is told", 30)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("select pg_advisory_xact_lock(7700, 2)", "the lock of migrations"),
        ("lock table rowlock.queue in access share mode", "a lock on rowlock.queue"),
    ],
    ids=["its lock", "a table"],
)
def test_who_holds_up_a_migration_is_named(
    postgres: PostgresServer, tmp_path: Path, statement: str, what: str
) -> None:
    from rowlock_operator.errors import GiveUp

    url = postgres.new_database()
    later = later_ledger(tmp_path, "alter table rowlock.queue add column later int")
    pool = Pool(url)
    with session(url, statement) as holder:
        with pytest.raises(GiveUp) as refused:
            migrate(pool, schema=later)
        assert (refused.value.reason, f"process {holder.get_backend_pid()} (" in str(refused.value)) == (
            "LedgerLocked",
            True,
        )
        assert what in str(refused.value)
    assert migrate(pool, schema=later) == [LATER_MIGRATION, later.build]
    pool.close()
