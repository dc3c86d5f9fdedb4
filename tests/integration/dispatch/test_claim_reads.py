"""Taking rows costs what is taken, whatever the statistics say of the table."""

import time
import uuid

import pytest

from rowlock_operator.rows.inspection import inspect
from rowlock_operator.rows.pool import Pool
from rowlock_operator.rows.source import Source
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import add_orders, create_orders, order_plan

pytestmark = pytest.mark.integration
ROWS, TAKEN = 20_000, 10_000


def entries_read(url: str, *, index: bool) -> int:
    """Entries of the index of pending rows (or rows of the table, without one) that half of the rows' claims
    have read.
    """
    create_orders(url, index=index)
    pool = Pool(url)
    source = Source(pool, order_plan(), inspect(pool, order_plan()), source_id=1, queue_id=1)
    add_orders(url, ROWS)
    assert sum(source.claim(500, []) for _ in range(TAKEN // 500)) == TAKEN
    pool.close()
    read = (
        "select idx_tup_read from pg_stat_user_indexes where indexrelname = 'orders_new'"
        if index
        else (
            "select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where relname ="
            " 'orders'"
        )
    )
    with connect(url) as cur:

        def told() -> int:
            cur.execute(read)
            return int(cur.fetchone()[0])

        wait_until(lambda: told() >= TAKEN, "the statistics of the ended session are there")
        return told()


def test_a_table_that_was_empty_when_it_was_looked_at_is_read_in_the_order_of_its_index(
    database: str,
) -> None:
    """Each entry is met when it is taken, and perhaps once more before it is known to be dead; a sort would
    meet all of them in each batch.
    """
    assert entries_read(database, index=True) < 5 * TAKEN


def test_without_the_index_each_batch_reads_the_table(database: str) -> None:
    assert entries_read(database, index=False) > 10 * TAKEN


def test_the_id_of_a_run_begins_with_the_millisecond_in_which_its_row_was_taken(database: str) -> None:
    create_orders(database, rows=3)
    pool = Pool(database)
    before = time.time_ns() // 1_000_000
    Source(pool, order_plan(), inspect(pool, order_plan()), source_id=1, queue_id=1).claim(3, [])
    pool.close()
    with connect(database) as cur:
        cur.execute("select id::text from rowlock.active")
        ids = [uuid.UUID(value) for (value,) in cur.fetchall()]
    assert len(set(ids)) == 3
    assert {i.version for i in ids} == {7}
    assert all(before <= i.int >> 80 <= time.time_ns() // 1_000_000 for i in ids)
