"""Partitions of the history come and go while others read it, and no finish waits or fails for them."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from rowlock_operator.dispatch.housekeeper import Housekeeper, HousekeeperSettings
from rowlock_operator.errors import GiveUp, RetryLater
from rowlock_operator.rows.ledger import Ledger
from rowlock_operator.rows.migrations import migrate
from rowlock_operator.rows.pool import Pool
from tests.integration.ledger.ledger_client import LedgerClient
from tests.services.ledger_schema import LATER_MIGRATION, later_ledger
from tests.services.postgres import PostgresServer

pytestmark = pytest.mark.integration

READERS = {
    "a forgotten psql": "select count(*) from rowlock.run",
    "pg_dump": (
        "lock table rowlock.done, rowlock.active, rowlock.inbox, rowlock.lane, rowlock.bucket in access share"
        " mode"
    ),
    "vacuum of a partition": "lock table rowlock.done_{today} in share update exclusive mode",
    "vacuum of the history": "lock table rowlock.done in share update exclusive mode",
}


@contextlib.contextmanager
def holding(database: str, statement: str) -> Iterator[Any]:
    """A session that keeps its transaction open."""
    connection = psycopg2.connect(database, application_name="forgotten psql")
    try:
        with connection.cursor() as cur:
            cur.execute("select to_char(clock_timestamp() at time zone 'UTC', 'YYYYMMDD')")
            cur.execute(statement.replace("{today}", cur.fetchone()[0]))
        yield connection
    finally:
        connection.close()


@pytest.fixture
def pool(database: str) -> Iterator[Pool]:
    pool = Pool(database)
    yield pool
    pool.close()


def partitions(ledger: LedgerClient) -> int:
    return int(ledger.value("select count(*) from pg_inherits where inhparent = 'rowlock.done'::regclass"))


def forget_days(ledger: LedgerClient, after: int = 0) -> None:
    """As if nobody had made partitions for the days after today + `after`."""
    for (part,) in ledger.rows(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent ="
        " 'rowlock.done'::regclass and c.relname > 'done_' || to_char(clock_timestamp() at time zone 'UTC' +"
        " make_interval(days => %s), 'YYYYMMDD')",
        after,
    ):
        ledger.rows(f"drop table rowlock.{part}")


@pytest.mark.parametrize("reader", [r for r in READERS if r != "vacuum of the history"])
def test_partitions_are_made_while_others_read_and_finishes_go_on(
    database: str, ledger: LedgerClient, pool: Pool, reader: str
) -> None:
    forget_days(ledger)
    run = ledger.running()
    with holding(database, READERS[reader]):
        began = time.monotonic()
        Housekeeper(Ledger(pool), HousekeeperSettings()).run_once()
        assert ledger.finish(run) == "succeeded"
        assert time.monotonic() - began < 1.5
        assert Ledger(pool).days_ahead() == 8


@pytest.mark.parametrize("reader", READERS)
def test_partitions_go_when_nobody_reads_and_nothing_waits_till_then(
    database: str, ledger: LedgerClient, pool: Pool, reader: str
) -> None:
    ledger.rows(
        "create table rowlock.done_20200101 partition of rowlock.done for values from ('2020-01-01 00:00+00')"
        " to ('2020-01-02 00:00+00')"
    )
    before, run = partitions(ledger), ledger.running()
    with holding(database, READERS[reader].replace("{today}", "20200101")):
        began = time.monotonic()
        Ledger(pool).retain()
        assert ledger.finish(run) == "succeeded"
        assert time.monotonic() - began < 1.0
        assert partitions(ledger) == before
    Ledger(pool).retain()
    assert partitions(ledger) == before - 1


def test_a_lock_that_forbids_new_partitions_is_told_by_name_when_days_are_short(
    database: str, ledger: LedgerClient, pool: Pool
) -> None:
    forget_days(ledger, after=5)
    housekeeper = Housekeeper(Ledger(pool), HousekeeperSettings())
    with holding(database, READERS["vacuum of the history"]):
        assert housekeeper.run_once() > 0, "five days are enough to wait in silence"
    forget_days(ledger, after=1)
    with (
        holding(database, READERS["vacuum of the history"]),
        pytest.raises(
            RetryLater,
            match=(
                r"places for only 1 days after today.*process \d+ \(user postgres, application forgotten psql"
            ),
        ),
    ):
        housekeeper.run_once()
    housekeeper.run_once()
    assert Ledger(pool).days_ahead() == 8


def test_a_table_that_was_detached_is_attached_again(ledger: LedgerClient, pool: Pool) -> None:
    day = ledger.value("select to_char(clock_timestamp() at time zone 'UTC' + interval '2 days', 'YYYYMMDD')")
    ledger.rows(f"alter table rowlock.done detach partition rowlock.done_{day}")
    assert Ledger(pool).days_ahead() == 1
    Housekeeper(Ledger(pool), HousekeeperSettings()).run_once()
    assert Ledger(pool).days_ahead() == 8


@pytest.mark.parametrize(("kept", "when"), [("< ", "past"), ("> ", "future")])
def test_a_run_ends_also_on_a_day_for_which_there_is_no_partition(
    ledger: LedgerClient, pool: Pool, kept: str, when: str
) -> None:
    """As if the clock had gone ten days forward, or back."""
    bad, good = ledger.running(), ledger.running()
    for (part,) in ledger.rows(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent ="
        f" 'rowlock.done'::regclass and not c.relname {kept} 'done_' || to_char(clock_timestamp() at time"
        " zone 'UTC', 'YYYYMMDD')"
    ):
        ledger.rows(f"drop table rowlock.{part}")
    assert ledger.finish(good) == "succeeded"
    assert ledger.finish(bad, outcome="failed", failure={"class": "input"}) == "dead"
    ended = ledger.rows(
        "select extract(epoch from finished_at - clock_timestamp()) from rowlock.run order by finished_at"
    )
    assert all(-172800 < e[0] < 0 if when == "past" else 0 < e[0] < 86400 for e in ended), (
        "the nearest moment there is a place for"
    )
    Ledger(pool).retain()
    assert partitions(ledger) > 0, "what looks past to a doubtful clock is kept"
    assert Ledger(pool).days_ahead() == -1
    Housekeeper(Ledger(pool), HousekeeperSettings()).run_once()
    assert Ledger(pool).days_ahead() == 8
    other = ledger.running()
    ledger.finish(other)
    assert ledger.value(
        "select abs(extract(epoch from finished_at - clock_timestamp())) < 60 from rowlock.run where id = %s",
        other,
    )


def test_a_migration_waits_for_a_blink_says_for_whom_and_comes_through_later(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.new_database()
    later = later_ledger(tmp_path, "alter table rowlock.done add column later int")
    ledger, pool = LedgerClient(url), Pool(url)
    with holding(url, READERS["pg_dump"]):
        began = time.monotonic()
        with pytest.raises(GiveUp, match=r"application forgotten psql.* holds a lock on rowlock"):
            migrate(pool, patience_seconds=0.5, schema=later)
        assert time.monotonic() - began < 3
        assert ledger.finish(ledger.running()) == "succeeded", "the older version goes on"
    assert migrate(pool, schema=later) == [LATER_MIGRATION, later.build]
    pool.close()
    ledger.close()


def test_a_ledger_that_is_up_to_date_asks_for_no_lock(database: str, pool: Pool) -> None:
    with holding(database, "select pg_advisory_xact_lock(7700, 2)"):
        assert migrate(pool, patience_seconds=0) == []
