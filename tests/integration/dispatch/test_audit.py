"""Rows that carry the claimed value though no run of the ledger belongs to them: told with the statement that
sets them back, and never a false alarm.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rowlock_operator.dispatch.auditor import AuditorSettings
from rowlock_operator.dispatch.database import DispatchSettings
from rowlock_operator.dispatch.marks import Marks
from tests.integration.ledger.ledger_client import LedgerClient
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import (
    BareRunner,
    Bench,
    create_orders,
    dispatching,
    order_plan,
    run_states,
    statuses,
)

pytestmark = pytest.mark.integration
QUICK = DispatchSettings(
    auditor=AuditorSettings(
        page=7, share=0.5, shortest_pause_seconds=0.01, turn_seconds=0.2, confirm_seconds=0.5
    )
)


def execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    with connect(url) as cur:
        for statement in statements:
            cur.execute(statement)
        return list(cur.fetchall()) if cur.description else []


def marks(bench: Bench, name: str = "default/orders") -> Marks:
    return bench.dispatcher.state.sources[name].marks


def key_changed(url: str) -> None:
    execute(
        url,
        "alter table orders alter id drop identity",
        "update orders set id = id + 1000 where id in (3, 8)",
    )


def came_back(url: str) -> None:
    """A ledger that is older than the table: it knows nothing of two of the rows."""
    execute(url, "delete from rowlock.active where source_key in ('3', '8')")


@pytest.mark.parametrize("harm", [key_changed, came_back])
def test_rows_without_a_run_are_told_and_run_once_set_back_by_the_statement_told(
    database: str, redis_url: str, harm: Callable[[str], None]
) -> None:
    create_orders(database, rows=20)
    ran: list[int] = []
    with dispatching(database, redis_url, settings=QUICK) as bench:
        bench.source()
        wait_until(lambda: run_states(database) == {"queued": 20}, "all are claimed")
        harm(database)
        wait_until(lambda: marks(bench).count == 2, "two are told")
        assert sorted(key[-1] for key in marks(bench).keys) == ["3", "8"]
        told = marks(bench).trouble(bench.dispatcher.state.sources["default/orders"].source.plan)
        assert told.reason == "MarksWithoutRun"
        wait_until(
            lambda: execute(database, "select marks from rowlock.source") == [(told.message,)],
            "the ledger is told, too",
        )
        assert "2 rows of" in told.message
        execute(database, told.message.partition("To have them run: ")[2])
        with BareRunner(database, redis_url, lambda args: ran.append(args["order_id"])):
            wait_until(lambda: statuses(database).keys() == {"done"}, "they ran")
        wait_until(lambda: not marks(bench).count, "nothing is told any more")
        wait_until(
            lambda: execute(database, "select marks from rowlock.source") == [(None,)], "nor by the ledger"
        )


def test_rows_on_their_way_are_never_told(database: str, redis_url: str) -> None:
    """Claims, runs and write-backs all the time, read through many times."""
    create_orders(database, rows=150)
    told: list[int] = []
    with dispatching(
        database,
        redis_url,
        settings=replace(QUICK, auditor=replace(QUICK.auditor, page=200, confirm_seconds=0.05)),
    ) as bench:
        bench.source()
        with BareRunner(database, redis_url, lambda args: told.append(marks(bench).count)):
            wait_until(lambda: statuses(database) == {"done": 150}, "all are done", 60)
    assert set(told) == {0}


def test_an_outcome_that_waits_to_be_written_is_no_lost_row(database: str, redis_url: str) -> None:
    create_orders(database, rows=2)
    execute(database, "alter table orders add constraint never check (status <> 'done' or id > 1) not valid")
    client = LedgerClient(database)
    with dispatching(database, redis_url, settings=QUICK) as bench:
        bench.source()
        wait_until(lambda: run_states(database) == {"queued": 2}, "both are claimed")
        for (run,) in client.rows("select id::text from rowlock.active"):
            client.start(run)
            client.finish(run)
        execute(database, "insert into orders(customer, amount, status) values ('x', 1, 'queued')")  # by hand
        wait_until(lambda: marks(bench).count == 1, "the one by hand is told")
        assert (marks(bench).keys, statuses(database)) == (("3",), {"done": 1, "queued": 2})
    client.close()


def test_a_row_that_another_source_of_the_same_table_holds_is_no_lost_row(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=6)
    with dispatching(database, redis_url, settings=QUICK) as bench:
        bench.source(order_plan(pending="status = 'new' and id <= 3"))
        bench.source(order_plan(name="default/others", pending="status = 'new' and id > 3"))
        wait_until(lambda: run_states(database) == {"queued": 6}, "each took its own")
        bench.dispatcher.retire_source("default/others")
        came_back(database)
        wait_until(lambda: marks(bench).count == 1, "the one that nobody holds is told")
        assert marks(bench).keys == ("3",)


def test_tables_with_odd_names_and_keys_are_audited(database: str, redis_url: str) -> None:
    execute(
        database,
        """create table "Odd 100% ""t"(" the key" varchar(40) primary key, "it's" text default 'new')""",
        """insert into "Odd 100% ""t"(" the key", "it's")
             values ('O''Hara %s', 'queued'), ('', 'queued'), ('z', 'new')""",
    )
    plan = order_plan(
        table='Odd 100% "t',
        key=" the key",
        pending="""\"it's" = 'new'""",
        order_by=(),
        arguments=(("key", " the key"),),
        status_column="it's",
        error_column=None,
    )
    with dispatching(database, redis_url, settings=QUICK) as bench:
        bench.source(plan)
        wait_until(lambda: marks(bench).count == 2, "two are told")
        execute(database, marks(bench).sentence(plan).partition("To have them run: ")[2])
        wait_until(lambda: run_states(database) == {"queued": 3}, "they are claimed once set back")
        wait_until(lambda: not marks(bench).count, "nothing is told any more")


def test_a_table_that_cannot_be_read_in_time_keeps_no_other_from_being_audited(
    database: str, redis_url: str
) -> None:
    create_orders(database)
    execute(
        database,
        "insert into orders(customer, amount, status) values ('x', 1, 'queued')",
        "create table locked(like orders including all)",
    )
    with dispatching(database, redis_url, settings=QUICK) as bench:
        bench.source(order_plan(name="default/locked", table="locked"))
        with connect(database) as holder:
            holder.execute("begin")
            holder.execute("lock table locked")
            bench.source()
            wait_until(lambda: marks(bench).count == 1, "it is told")
            holder.execute("rollback")
