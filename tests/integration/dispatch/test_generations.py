"""A source made anew for another table is another source; and what the ledger holds of one that is gone is
brought to its end.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from rowlock_operator.dispatch.database import LimitRule
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.source_table import SourcePlan
from tests.integration.ledger.ledger_client import LedgerClient
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import (
    QUEUE,
    BareRunner,
    Bench,
    create_orders,
    dispatching,
    order_plan,
    run_states,
    statuses,
)

pytestmark = pytest.mark.integration
SOURCE = "default/orders"


def execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    with connect(url) as cur:
        for statement in statements:
            cur.execute(statement)
        return list(cur.fetchall()) if cur.description else []


def letters(table: str = "letters", **changes: Any) -> SourcePlan:
    """A source without a status column: the ledger alone remembers."""
    return order_plan(
        table=table, key="id", pending="body is not null", arguments=(("body", "body"),),
        status_column=None, error_column=None, claimed="", succeeded="", failed="", **changes,
    )  # fmt: skip


def create_letters(url: str, table: str, rows: int = 3) -> None:
    execute(
        url,
        f"create table {table}(id int generated always as identity primary key, body text)",
        f"insert into {table}(body) select '{table} ' || i from generate_series(1, {rows}) i",
    )


def started_runs(bench: Bench, url: str, client: LedgerClient, count: int) -> list[str]:
    """The runs of the bench's source, once they are claimed, begun by `client`."""
    wait_until(lambda: run_states(url) == {"queued": count}, f"{count} rows are claimed")
    runs = [run for (run,) in execute(url, "select id::text from rowlock.active order by source_key")]
    assert all(client.start(run) for run in runs)
    return runs


@contextmanager
def a_client(url: str) -> Any:
    client = LedgerClient(url)
    yield client
    client.close()


# -- generations
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "again",
    [
        lambda plan: replace(plan, table="notes"),
        lambda plan: replace(plan, schema="other", table="letters"),
        lambda plan: replace(plan, table='odd "Letters"'),
        lambda plan: replace(plan, key="number"),
    ],
    ids=["another table", "another schema", "an odd name", "another key"],
)
def test_a_source_made_anew_for_other_rows_runs_them(
    database: str, redis_url: str, again: Callable[[SourcePlan], SourcePlan]
) -> None:
    execute(database, "create schema other")
    for table in ("letters", "notes", "other.letters", '"odd ""Letters"""'):
        execute(
            database,
            f"create table {table}(id int primary key, number int unique, body text)",
            f"insert into {table} select i, 4 - i, $t${table}$t$ from generate_series(1, 3) i",
        )
    ran: list[str] = []
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: ran.append(args["body"])),
    ):
        bench.source(letters())
        wait_until(lambda: len(ran) == 3, "the first table's rows ran")
        bench.dispatcher.retire_source(SOURCE)
        bench.source(again(letters()))
        wait_until(lambda: len(ran) == 6, "the second one's rows ran")


def test_the_same_table_again_does_nothing_twice_whatever_was_in_between(
    database: str, redis_url: str
) -> None:
    for table in ("letters", "notes"):
        create_letters(database, table)
    ran: list[str] = []
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: ran.append(args["body"])),
    ):
        for turn, table in enumerate(("letters", "notes", "letters")):
            bench.source(letters(table))
            execute(database, f"insert into {table}(body) values ('turn {turn}')")
            wait_until(lambda turn=turn: f"turn {turn}" in ran, "its new row ran")  # type: ignore[misc]
            bench.dispatcher.retire_source(SOURCE)
    assert (len(ran), len(set(ran))) == (9, 9)
    assert execute(database, "select count(*) from rowlock.source where name = 'default/orders'") == [(2,)]


def test_outcomes_are_written_into_the_table_that_their_rows_came_from(database: str, redis_url: str) -> None:
    create_orders(database, rows=3)
    execute(
        database,
        "create table orders2(like orders including all)",
        # say: by hand
        "insert into orders2(customer, amount, status) select 'second', i, 'queued' from generate_series(1,"
        " 3) i",
    )
    with a_client(database) as client, dispatching(database, redis_url) as bench:
        bench.source()
        runs = started_runs(bench, database, client, 3)
        bench.source(order_plan(table="orders2"))
        for run in runs:
            client.finish(run)
        wait_until(lambda: statuses(database) == {"done": 3}, "the outcomes are in the first table")
        assert execute(database, "select distinct status from orders2") == [("queued",)]


def test_the_next_generation_is_not_held_back_by_the_limits_of_the_last(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=2)
    execute(
        database,
        "create table orders2(like orders including all)",
        "insert into orders2(customer, amount) values ('b', 1)",
    )
    one_at_a_time = [LimitRule("one", None, 1, None, None)]
    with a_client(database) as client, dispatching(database, redis_url) as bench:
        bench.source(rules=one_at_a_time)
        wait_until(lambda: run_states(database) == {"queued": 1, "pending": 1}, "one may run")
        (run,) = client.rows("select id::text from rowlock.active where state = 'queued'")[0]
        assert client.start(run)
        bench.source(order_plan(table="orders2"), rules=one_at_a_time)
        wait_until(
            lambda: run_states(database) == {"running": 1, "pending": 1, "queued": 1},
            "the other table's row is claimed, too",
        )


def test_what_an_earlier_operator_registered_keeps_its_keys(database: str, redis_url: str) -> None:
    create_letters(database, "letters")
    ran: list[str] = []
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: ran.append(args["body"])),
    ):
        bench.source(letters())
        wait_until(lambda: len(ran) == 3, "its rows ran")
        # as before generations were told apart
        execute(database, "update rowlock.source set relation = null, key_column = null")
        bench.source(letters())
        execute(database, "insert into letters(body) values ('new')")
        wait_until(lambda: "new" in ran, "its new row ran")
    assert (len(ran), execute(database, "select count(*) from rowlock.source")) == (4, [(1,)])


# -- remembered keys
# ------------------------------------------------------------------------------------------------------


def test_rows_of_a_truncated_table_run_once_its_keys_are_forgotten(database: str, redis_url: str) -> None:
    create_letters(database, "letters", rows=5)
    ran: list[str] = []
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: ran.append(args["body"])),
    ):
        bench.source(letters())
        wait_until(lambda: len(ran) == 5, "its rows ran")
        execute(
            database,
            "truncate letters restart identity",
            "insert into letters(body) select 'second' from generate_series(1, 5)",
        )
        assert execute(database, "select remembered from rowlock.remembered_keys_v1('default/orders')") == [
            (5,)
        ]
        ((now,),) = execute(database, "select clock_timestamp()")
        forgotten = 0
        for expected in (2, 2, 1, 0):  # what is taken again between two of these is not forgotten once more
            assert execute(
                database, f"select rowlock.forget_keys_v1('default/orders', null, '{now}', 2)"
            ) == [(expected,)]
            forgotten += expected
            wait_until(
                lambda forgotten=forgotten: ran.count("second") == forgotten,
                "they ran, though they lie before the cursor",
            )  # type: ignore[misc]
    assert len(ran) == 10


def test_one_forgotten_key_runs_one_row_again(database: str, redis_url: str) -> None:
    create_letters(database, "letters", rows=3)
    ran: list[str] = []
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: ran.append(args["body"])),
    ):
        bench.source(letters())
        wait_until(lambda: len(ran) == 3, "its rows ran")
        assert execute(database, "select rowlock.forget_keys_v1('default/orders', '{2,2,no such key}')") == [
            (1,)
        ]
        wait_until(lambda: ran.count("letters 2") == 2, "that row ran again")
        execute(database, "insert into letters(body) values ('new')")
        wait_until(lambda: "new" in ran, "a later one, too")
    assert len(ran) == 5


def test_a_key_forgotten_while_its_run_is_under_way_never_runs_twice_at_once(
    database: str, redis_url: str
) -> None:
    create_letters(database, "letters", rows=1)
    with a_client(database) as client, dispatching(database, redis_url) as bench:
        bench.source(letters())
        (run,) = started_runs(bench, database, client, 1)
        assert client.value("select rowlock.forget_keys_v1('default/orders')") == 1
        execute(database, "insert into letters(body) values ('later')")
        wait_until(
            lambda: run_states(database) == {"running": 1, "queued": 1},
            "a later row is taken, the same one is not",
        )
        client.finish(run)
        wait_until(lambda: run_states(database) == {"succeeded": 1, "queued": 2}, "then the forgotten one is")


# -- what is left of a source that is gone
# --------------------------------------------------------------------------------


def deleted(bench: Bench) -> None:
    bench.dispatcher.retire_source(SOURCE)


def refused(bench: Bench) -> None:
    """Its spec was changed to something that cannot serve."""
    with pytest.raises(GiveUp):
        bench.source(order_plan(key="nothing"))
    bench.dispatcher.unregister_source(SOURCE)


def deleted_with_its_queue(bench: Bench) -> None:
    bench.dispatcher.unregister_queue(QUEUE)
    bench.dispatcher.retire_source(SOURCE)


@pytest.mark.parametrize("gone", [deleted, refused, deleted_with_its_queue])
def test_outcomes_of_a_source_that_is_gone_are_written(
    database: str, redis_url: str, gone: Callable[[Bench], None]
) -> None:
    create_orders(database, rows=2)
    with a_client(database) as client, dispatching(database, redis_url) as bench:
        bench.source()
        good, bad = started_runs(bench, database, client, 2)
        gone(bench)
        client.finish(good)
        client.finish(bad, outcome="failed", failure={"class": "input", "message": "no such customer"})
        wait_until(lambda: statuses(database) == {"done": 1, "failed": 1}, "both outcomes are written")
        assert execute(database, "select error from orders where status = 'failed'") == [
            ("no such customer",)
        ]
        wait_until(lambda: not bench.dispatcher.state.leftovers, "and it is known to nobody any more")


def test_outcomes_of_a_source_that_is_gone_are_written_by_the_next_operator(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=2)
    with a_client(database) as client:
        with dispatching(database, redis_url) as bench:
            bench.source()
            runs = started_runs(bench, database, client, 2)
            deleted(bench)
        for run in runs:
            client.finish(run)
        with dispatching(database, redis_url):
            wait_until(lambda: statuses(database) == {"done": 2}, "they are written from the stored plan")


def test_without_its_stored_plan_nobody_can_write_them_and_that_is_told(
    database: str, redis_url: str
) -> None:
    """The twin: what an operator of before this migration registered, and then deleted."""
    create_orders(database, rows=1)
    with a_client(database) as client, dispatching(database, redis_url) as bench:
        bench.source()
        (run,) = started_runs(bench, database, client, 1)
        execute(database, "update rowlock.source set spec = spec - 'plan'")
        deleted(bench)
        client.finish(run)
        told = wait_until(
            lambda: bench.dispatcher.state.left_over_trouble(bench.queue.queue_id), "it is told"
        )
        assert (told.reason, "make the RowSource again" in told.message) == ("PlanNotStored", True)  # type: ignore[attr-defined]
        assert statuses(database) == {"queued": 1}
        bench.source()
        wait_until(lambda: statuses(database) == {"done": 1}, "the remedy works")


@pytest.mark.parametrize(
    "harm",
    [
        "alter table orders2 drop column status",
        "alter table orders2 add constraint ended check (status <> 'done') not valid",
    ],
    ids=["without the column", "refuses"],
)
def test_a_table_that_takes_no_outcomes_any_more_is_told_and_holds_up_no_other(
    database: str, redis_url: str, harm: str
) -> None:
    create_orders(database, rows=1)
    execute(
        database,
        "create table orders2(like orders including all)",
        "insert into orders2(customer, amount) values ('b', 1)",
    )
    with a_client(database) as client, dispatching(database, redis_url) as bench:
        bench.source()
        bench.source(order_plan(name="default/second", table="orders2"))
        runs = started_runs(bench, database, client, 2)
        deleted(bench)
        bench.dispatcher.retire_source("default/second")
        execute(database, harm)
        for run in runs:
            client.finish(run)
        wait_until(lambda: statuses(database) == {"done": 1}, "the other one's outcome is written")
        told = wait_until(
            lambda: bench.dispatcher.state.left_over_trouble(bench.queue.queue_id), "its WorkQueue says so"
        )
        assert (told.reason, "default/second" in told.message) == ("OutcomesNotWritten", True), told  # type: ignore[attr-defined]


def test_what_waits_of_a_source_that_was_deleted_with_its_table_ends_and_is_no_trouble(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=3)
    with a_client(database) as client, dispatching(database, redis_url) as bench:
        bench.source()
        run = started_runs(bench, database, client, 3)[0]
        execute(database, f"update rowlock.active set state = 'queued' where id <> '{run}'")
        deleted(bench)
        execute(database, "drop table orders")
        client.finish(run)
        left = "select (select count(*) from rowlock.active) + (select count(*) from rowlock.outbox)"
        wait_until(lambda: execute(database, left) == [(0,)], "nothing is left of it")
        assert set(execute(database, "select left_alone from rowlock.done where state = 'succeeded'")) == {
            ("gone",)
        }
        assert bench.dispatcher.state.left_over_trouble(bench.queue.queue_id) is None


def test_a_table_that_is_missing_while_its_source_is_not_deleted_gets_its_outcomes_once_it_is_back(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=1)
    with a_client(database) as client, dispatching(database, redis_url) as bench:
        bench.source()
        (run,) = started_runs(bench, database, client, 1)
        execute(database, "alter table orders rename to orders_of_the_backup")
        bench.dispatcher.unregister_source(SOURCE)  # as its reconciler does with a source that cannot serve
        client.finish(run)
        told = wait_until(
            lambda: bench.dispatcher.state.left_over_trouble(bench.queue.queue_id), "its WorkQueue says so"
        )
        assert told.reason == "OutcomesNotWritten"  # type: ignore[attr-defined]
        execute(database, "alter table orders_of_the_backup rename to orders")
        wait_until(lambda: statuses(database) == {"done": 1}, "the outcome was kept", 30)


def test_a_row_deleted_after_its_source_was_is_not_run(database: str, redis_url: str) -> None:
    create_orders(database, rows=2)
    with dispatching(database, redis_url) as bench:
        bench.source()
        wait_until(lambda: run_states(database) == {"queued": 2}, "both are claimed")
        deleted(bench)
        execute(database, "delete from orders where id = 1")
        wait_until(lambda: run_states(database) == {"queued": 1, "canceled": 1}, "its run is canceled")


def test_what_another_operator_serves_is_left_to_it(database: str, redis_url: str) -> None:
    create_orders(database, rows=1)
    execute(
        database,
        "create table orders2(like orders including all)",
        "insert into orders2(customer, amount) values ('b', 1)",
    )
    with (
        a_client(database) as client,
        dispatching(database, redis_url, ours=lambda name: name.startswith("default/")) as bench,
    ):
        bench.source()
        bench.source(order_plan(name="other/orders", table="orders2"))
        runs = started_runs(bench, database, client, 2)
        bench.dispatcher.unregister_source("other/orders")  # as if it were registered with the other operator
        deleted(bench)
        for run in runs:
            client.finish(run)
        wait_until(lambda: statuses(database) == {"done": 1}, "what is ours is written")
        assert execute(database, "select status from orders2") == [("queued",)]
