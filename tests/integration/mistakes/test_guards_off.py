"""The twins: what one bad row, one row without a key and one locked table do to all others where nothing
guards against them.
"""

from collections.abc import Iterator
from dataclasses import replace

import psycopg2
import pytest

from rowlock_operator.dispatch import database as dispatch_database
from rowlock_operator.rows import pool, refused
from rowlock_operator.rows.inspection import inspect
from rowlock_operator.rows.source import Source
from rowlock_operator.rows.source_table import Inspection, SourcePlan
from tests.services.operator_room import counted_for
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import (
    Bench,
    add_orders,
    create_orders,
    dispatching,
    order_plan,
    run_states,
    statuses,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def bench(database: str, redis_url: str) -> Iterator[Bench]:
    create_orders(database)
    with dispatching(database, redis_url) as bench:
        yield bench


def refuse_one_of_ten(url: str) -> None:
    add_orders(url, 10)
    with connect(url) as cursor:
        cursor.execute("alter table orders add constraint why check (status <> 'queued' or amount <> 4)")


def test_one_refused_row_is_left_out(bench: Bench, database: str) -> None:
    refuse_one_of_ten(database)
    bench.source()
    wait_until(lambda: statuses(database) == {"queued": 9, "new": 1}, "the other nine are taken")


def test_without_isolation_one_refused_row_holds_up_all(
    bench: Bench, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused, "MOST", 0)
    refuse_one_of_ten(database)
    bench.source()
    wait_until(lambda: bench.dispatcher.state.sources["default/orders"].error, "the source says so")
    counted_for(3, lambda: 0)
    assert statuses(database)["new"] > 1


def row_without_key(bench: Bench, url: str) -> None:
    with connect(url) as cursor:
        cursor.execute(
            "create table keyless(id int unique, amount int, status text default 'new', error text)"
        )
        cursor.execute("insert into keyless(id) values (null)")
    bench.source(order_plan(name="default/keyless", table="keyless"))


def test_a_row_without_a_key_is_not_run(bench: Bench, database: str) -> None:
    row_without_key(bench, database)
    assert counted_for(2, lambda: sum(run_states(database).values())) == 0


def test_without_the_guard_a_row_without_a_key_is_run_again_and_again(
    bench: Bench, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(of: pool.Pool, plan: SourcePlan) -> Inspection:
        return replace(inspect(of, plan), nullable_key=False, sorts=False)  # as with rows enough for an index

    monkeypatch.setattr(dispatch_database, "inspect", blind)
    # a second guard: such a row cannot be marked
    monkeypatch.setattr(Source, "_why_unmarked", lambda self, there, status: None)
    row_without_key(bench, database)
    wait_until(lambda: sum(run_states(database).values()) > 3, "one row is many runs")


def lock_one_table(bench: Bench, url: str) -> psycopg2.extensions.connection:
    with connect(url) as cursor:
        cursor.execute("create table locked as select * from orders; alter table locked add primary key (id)")
    bench.source()
    bench.source(order_plan(name="default/locked", table="locked"))
    holder = psycopg2.connect(url)
    with holder.cursor() as cursor:
        cursor.execute("lock table locked in access exclusive mode")
    counted_for(1, lambda: 0)  # whoever will wait for it waits by now
    add_orders(url, 5)
    return holder


def test_a_locked_table_holds_up_no_other(bench: Bench, database: str) -> None:
    holder = lock_one_table(bench, database)
    try:
        wait_until(lambda: statuses(database) == {"queued": 5}, "the other table's rows are taken", 10)
    finally:
        holder.close()


def test_without_patience_a_locked_table_holds_up_the_others(
    bench: Bench, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_USER_TABLE_SETTINGS", "select 1")
    holder = lock_one_table(bench, database)
    try:
        assert counted_for(5, lambda: statuses(database).get("queued", 0)) == 0
    finally:
        holder.close()
    wait_until(lambda: statuses(database) == {"queued": 5}, "they are taken once it is released", 10)
