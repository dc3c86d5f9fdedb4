"""The ledger stays small without anybody's care."""

import pytest

from rowlock_operator.dispatch.housekeeper import Housekeeper, HousekeeperSettings
from rowlock_operator.errors import RetryLater
from rowlock_operator.rows.ledger import Ledger
from rowlock_operator.rows.pool import Pool
from tests.integration.ledger.ledger_client import LedgerClient
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


def dead_rows(client: LedgerClient, table: str) -> int:
    return int(
        client.value(
            "select n_dead_tup from pg_stat_user_tables where schemaname = 'rowlock' and relname = %s", table
        )
    )


def test_a_table_with_many_dead_rows_is_vacuumed(database: str) -> None:
    client, pool = LedgerClient(database), Pool(database)
    client.rows("alter table rowlock.inbox set (autovacuum_enabled = off)")
    client.rows(
        "insert into rowlock.inbox(lane, queue_id, priority, fairness_key) select i, 1, 0, '' from"
        " generate_series(1, 300) i"
    )
    client.rows("delete from rowlock.inbox")
    wait_until(lambda: dead_rows(client, "inbox") >= 300, "the statistics know of the dead rows")
    Housekeeper(Ledger(pool), HousekeeperSettings(small_table_dead_rows=100)).run_once()
    wait_until(lambda: dead_rows(client, "inbox") == 0, "they are gone")
    pool.close()
    client.close()


def test_what_is_past_its_history_is_forgotten(database: str) -> None:
    client, pool = LedgerClient(database), Pool(database)
    for _ in range(3):
        client.finish(client.running())
    client.rows("update rowlock.queue set succeeded_seconds = 0")
    Housekeeper(Ledger(pool), HousekeeperSettings()).run_once()
    assert client.value("select count(*) from rowlock.done") == 0
    pool.close()
    client.close()


def test_runs_that_could_not_even_be_ended_are_told(database: str) -> None:
    client, pool = LedgerClient(database), Pool(database)
    client.rows("alter table rowlock.done add check (state <> 'dead')")
    client.rows("select rowlock.set_aside(%s, 'Odd', 'It is odd.')", client.enqueue())
    housekeeper = Housekeeper(Ledger(pool), HousekeeperSettings())
    with pytest.raises(RetryLater, match=r"1 runs could not even be ended and stand in rowlock\.aside"):
        housekeeper.run_once()
    client.rows("delete from rowlock.aside")
    assert housekeeper.run_once() > 0
    pool.close()
    client.close()
