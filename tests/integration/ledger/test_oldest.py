"""How long the oldest run waits: told of runs that are due and have not started, of nothing else."""

import pytest

from rowlock_client.queries import fetch
from rowlock_operator.rows.ledger import Ledger
from rowlock_operator.rows.pool import Pool
from tests.integration.ledger.ledger_client import LedgerClient

pytestmark = pytest.mark.integration


def told(database: str, ledger: LedgerClient) -> set[float | None]:
    """Seconds by the metric, by `rowlock info`, by it with few rights, and by `rowlock health`; one value
    where they agree to a second.
    """
    ledger.claim(0)
    pool = Pool(database)
    try:
        metric = [depth.oldest_seconds for depth in Ledger(pool).depths()]
    finally:
        pool.close()
    values = [metric[0] if metric else None]
    with ledger.connection.cursor() as cur:
        for statement, column in (
            ("queue_stats", "oldest_seconds"),
            ("queue_stats_of_view", "oldest_seconds"),
            ("oldest_due", "seconds"),
        ):
            values += [row[column] for row in fetch(cur, statement, window=60, queue=None)] or [None]
    return {None if v is None else round(float(v) / 10) for v in values}


def test_a_retry_in_an_hour_is_not_waiting(database: str, ledger: LedgerClient) -> None:
    run = ledger.running()
    ledger.rows("update rowlock.lane set floor = clock_timestamp() - interval '20 h'")
    ledger.finish(run, outcome="failed", failure={"class": "site", "after_seconds": 3600})
    assert told(database, ledger) == {None}


@pytest.mark.parametrize("due", ["infinity", "294276-12-31", "20000-01-01", "2100-01-01"])
def test_a_run_for_another_day_is_not_waiting(database: str, ledger: LedgerClient, due: str) -> None:
    ledger.enqueue()
    ledger.rows("update rowlock.active set due = %s; update rowlock.inbox set due = %s", due, due)
    assert told(database, ledger) == {None}


@pytest.mark.parametrize("due", ["-infinity", "1970-01-01", "4700-01-01 BC"])
def test_who_asks_for_a_moment_long_past_waits_since_asking(
    database: str, ledger: LedgerClient, due: str
) -> None:
    ledger.enqueue()
    ledger.rows("update rowlock.active set due = %s; update rowlock.inbox set due = %s", due, due)
    assert told(database, ledger) == {0}


def test_a_line_whose_old_runs_have_ended_waits_since_its_first_due_one(
    database: str, ledger: LedgerClient
) -> None:
    ledger.rows("select rowlock.set_limit_v1('site', 1, null, null)")
    first, second = ledger.enqueue(limits=["site:a"]), ledger.enqueue(limits=["site:a"])
    assert ledger.claim() == [first]
    ledger.rows("update rowlock.lane set floor = clock_timestamp() - interval '20 h'")
    ledger.start(first)
    ledger.finish(first)
    assert ledger.claim(0) == []
    ledger.rows(
        "update rowlock.active set created_at = created_at - interval '70 s', due = due - interval '70 s'"
        " where id = %s",
        second,
    )
    assert told(database, ledger) == {7}


def test_a_run_that_was_handed_out_waits_until_it_starts(database: str, ledger: LedgerClient) -> None:
    run = ledger.enqueue()
    assert ledger.claim() == [run]
    ledger.rows("update rowlock.active set claimed_at = claimed_at - interval '40 s'")
    assert told(database, ledger) == {4}
    ledger.start(run)
    assert told(database, ledger) == {None}


def test_a_line_whose_counter_is_wrong_has_no_oldest_and_is_mended(
    database: str, ledger: LedgerClient
) -> None:
    ledger.finish(ledger.running())
    ledger.claim()
    ledger.rows("update rowlock.lane set pending = 3, floor = clock_timestamp() - interval '20 h'")
    assert told(database, ledger) == {None}
    ledger.rows("select rowlock.relane_v1()")
    assert ledger.value("select waiting from rowlock.depth_v1()") == 0


def test_floors_follow_the_runs_so_that_few_lines_need_a_look(database: str, ledger: LedgerClient) -> None:
    ledger.rows("select rowlock.set_limit_v1('one', 1, null, null)")
    for customer in range(80):
        for _ in range(2):
            ledger.enqueue(limits=["one:all"], fairness_key=f"c{customer}")
    ledger.claim()
    ledger.rows("update rowlock.lane set floor = '2001-01-01' where fairness_key <> 'c79'")
    ledger.rows(
        "update rowlock.active set due = clock_timestamp() + interval '1 h' where due is not null and"
        " fairness_key <> 'c79';update rowlock.active set due = due - interval '90 s', created_at ="
        " created_at - interval '90 s' where fairness_key = 'c79';update rowlock.lane set floor = floor -"
        " interval '90 s' where fairness_key = 'c79'"
    )
    ledger.rows("select rowlock.relane_v1()")
    assert (
        round(
            ledger.value(
                "select extract(epoch from clock_timestamp() - since)::float8 from rowlock.oldest_due()"
            )
            / 10
        )
        == 9
    )
