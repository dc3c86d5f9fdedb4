"""Whoever requeues a run has mended its row: the next attempt gets the row as it is now."""

from typing import Any

import pytest

from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import BareRunner, create_orders, dispatching, order_plan, run_states, statuses

pytestmark = pytest.mark.integration
AT_ONCE = {"app": {"limit": 0}}


def refuse_debts(args: dict[str, Any]) -> dict[str, Any]:
    if args["amount"] < 0:
        raise ValueError("a bill below zero")
    return {"billed": args["amount"], "note": len(args.get("customer", ""))}


def execute(url: str, *statements: str) -> None:
    with connect(url) as cur:
        for statement in statements:
            cur.execute(statement)


REQUEUE_ALL = (
    "select rowlock.requeue_v1(array(select id from rowlock.run where state in ('dead', 'unknown',"
    " 'canceled')))"
)


def results(url: str) -> list[Any]:
    with connect(url) as cur:
        cur.execute("select result from rowlock.run order by source_key::int")
        return [result for (result,) in cur.fetchall()]


def test_a_row_that_was_mended_succeeds_once_its_run_is_requeued(database: str, redis_url: str) -> None:
    create_orders(database, rows=2)
    execute(database, "update orders set amount = -3 where id = 1")
    plan = order_plan(arguments=(("amount", "amount"), ("customer", "customer")))
    with (
        dispatching(database, redis_url, retry=AT_ONCE) as bench,
        BareRunner(database, redis_url, refuse_debts),
    ):
        bench.source(plan)
        wait_until(lambda: statuses(database) == {"failed": 1, "done": 1}, "one order failed")
        # More than fits into the run itself: the arguments move beside it.
        execute(
            database,
            "update orders set amount = 30, customer = repeat('md5', 3000) where id = 1",
            REQUEUE_ALL,
        )
        wait_until(lambda: statuses(database) == {"done": 2}, "the mended order is done")
    assert results(database)[0] == {"billed": 30, "note": 9000}


def test_without_the_look_at_the_row_the_mended_row_fails_again(database: str, redis_url: str) -> None:
    """The twin: what an operator of before this migration registered."""
    create_orders(database, rows=1)
    execute(database, "update orders set amount = -3")
    with (
        dispatching(database, redis_url, retry=AT_ONCE) as bench,
        BareRunner(database, redis_url, refuse_debts) as runner,
    ):
        bench.source()
        wait_until(lambda: statuses(database) == {"failed": 1}, "the order failed")
        execute(
            database,
            "update rowlock.source set spec = spec - 'read_row'",
            "update orders set amount = 30",
            REQUEUE_ALL,
        )
        wait_until(
            lambda: len(runner.started) == 2 and run_states(database) == {"dead": 1}, "it failed again"
        )


def test_a_row_with_odd_names_is_read_again(database: str, redis_url: str) -> None:
    create_orders(database, rows=1)
    execute(
        database,
        "update orders set amount = -3",
        'alter table orders rename amount to "50%% o\'f \\it"',
        'alter table orders rename id to "%s ""key"""',
    )
    plan = order_plan(key='%s "key"', order_by=(), arguments=(("amount", "50%% o'f \\it"),))
    with (
        dispatching(database, redis_url, retry=AT_ONCE) as bench,
        BareRunner(database, redis_url, refuse_debts),
    ):
        bench.source(plan)
        wait_until(lambda: statuses(database) == {"failed": 1}, "the order failed")
        execute(database, 'update orders set "50%% o\'f \\it" = 30', REQUEUE_ALL)
        wait_until(lambda: statuses(database) == {"done": 1}, "the mended order is done")


@pytest.mark.parametrize(
    "loss", ["delete from orders", "drop table orders", "alter table orders drop amount"]
)
def test_a_row_that_cannot_be_read_any_more_leaves_the_run_its_arguments(
    loss: str, database: str, redis_url: str
) -> None:
    create_orders(database, rows=1)
    given: list[Any] = []

    def fail_once(args: dict[str, Any]) -> None:
        given.append(args)
        if len(given) == 1:
            raise ValueError("not today")

    with dispatching(database, redis_url, retry=AT_ONCE) as bench:
        with BareRunner(database, redis_url, fail_once):
            bench.source(order_plan(status_column=None, error_column=None))
            wait_until(lambda: run_states(database) == {"dead": 1}, "the order failed")
        # else the run is canceled, since its row has vanished
        bench.dispatcher.unregister_source("default/orders")
        execute(database, loss, REQUEUE_ALL)
        with BareRunner(database, redis_url, fail_once):
            wait_until(lambda: run_states(database) == {"succeeded": 1}, "the run is done")
    assert given[0] == given[1] == {"order_id": 1, "amount": 1}


def test_nobody_reads_rows_by_the_ledgers_rights(postgres: Any, database: str) -> None:
    with connect(database) as cur:
        cur.execute(
            "select has_function_privilege(r, 'rowlock.read_row(int, text)', 'execute') from"
            " unnest(array['rowlock_client', 'rowlock_worker']) r"
        )
        assert cur.fetchall() == [(False,), (False,)]
