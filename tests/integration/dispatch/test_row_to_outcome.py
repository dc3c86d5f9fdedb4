"""From a row of an ordinary table to its outcome, with the real PostgreSQL and Redis."""

import time

import pytest

from rowlock_operator.dispatch.database import LimitRule
from tests.services.pgbouncer import PgBouncer
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.rows import (
    BareRunner,
    add_orders,
    create_orders,
    dispatching,
    order_plan,
    run_states,
    statuses,
)

pytestmark = pytest.mark.integration


def test_every_pending_row_is_run_once_and_told_its_outcome(database: str, redis_url: str) -> None:
    create_orders(database, rows=1000)
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: {"billed": args["amount"]}) as runner,
    ):
        bench.source()
        wait_until(lambda: statuses(database) == {"done": 1000}, "all orders done", 60)
        assert len(runner.started) == len(set(runner.started)) == 1000
    assert run_states(database) == {"succeeded": 1000}


def test_everything_works_through_pgbouncer_in_transaction_mode(
    database: str, redis_url: str, pgbouncer: PgBouncer
) -> None:
    create_orders(database, rows=200)
    url = pgbouncer.url(database)
    with dispatching(url, redis_url) as bench, BareRunner(url, redis_url, lambda args: None):
        bench.source()
        wait_until(lambda: statuses(database) == {"done": 200}, "all orders done", 60)


def test_a_row_that_failed_for_good_tells_its_error(database: str, redis_url: str) -> None:
    create_orders(database, rows=1)

    def refuse(args: object) -> None:
        raise ValueError("no such customer")

    with (
        dispatching(database, redis_url, retry={"app": {"limit": 0}}) as bench,
        BareRunner(database, redis_url, refuse),
    ):
        bench.source()
        wait_until(lambda: statuses(database) == {"failed": 1}, "the order failed")
    with connect(database) as cur:
        cur.execute("select error from orders")
        assert cur.fetchall() == [("no such customer",)]


def test_a_source_without_a_status_column_runs_each_row_once(database: str, redis_url: str) -> None:
    create_orders(database, rows=300)
    plan = order_plan(status_column=None, error_column=None)
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: None) as runner,
    ):
        bench.source(plan)
        wait_until(lambda: run_states(database) == {"succeeded": 300}, "all rows run", 60)
        add_orders(database, 1)
        wait_until(lambda: run_states(database) == {"succeeded": 301}, "the late row run")
        assert len(runner.started) == 301
    assert statuses(database) == {"new": 301}, "the user's table is not touched"


def test_a_thousand_rows_of_a_throttled_key_do_not_delay_another_key(database: str, redis_url: str) -> None:
    create_orders(database)
    add_orders(database, 1000, customer="busy")
    plan = order_plan(fairness_key="customer")
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: None, seconds_each=0.05) as runner,
    ):
        bench.source(plan, [LimitRule("per-customer", "customer", 1, None, None)])
        wait_until(lambda: len(runner.started) >= 3, "the busy customer is being served")
        before, began = len(runner.started), time.monotonic()
        add_orders(database, 1, customer="other")

        def other_done() -> bool:
            with connect(database) as cur:
                cur.execute("select status from orders where customer = 'other'")
                return bool(cur.fetchall() == [("done",)])

        wait_until(other_done, "the other customer's order is done", 5)
        assert time.monotonic() - began < 2.5
        assert len(runner.started) - before < 60
    # Twin: without the limit and the turns, the other one waits behind all of them.
    assert run_states(database).get("succeeded", 0) < 500


def test_without_turns_the_other_key_waits_behind_all_of_them(database: str, redis_url: str) -> None:
    create_orders(database)
    add_orders(database, 1000, customer="busy")
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: None, seconds_each=0.01) as runner,
    ):
        bench.source()
        wait_until(lambda: len(runner.started) >= 3, "the busy customer is being served")
        add_orders(database, 1, customer="other")
        wait_until(lambda: statuses(database).get("done", 0) >= 100, "a hundred of the busy one")
        with connect(database) as cur:
            cur.execute("select status from orders where customer = 'other'")
            assert cur.fetchall() != [("done",)]


def test_a_concurrency_limit_is_never_exceeded(database: str, redis_url: str) -> None:
    create_orders(database, rows=60, customers=2)
    with dispatching(database, redis_url) as bench:
        bench.source(order_plan(), [LimitRule("per-customer", "customer", 2, None, None)])
        wait_until(lambda: run_states(database).get("queued", 0) == 4, "two runs of each customer handed out")
        with connect(database) as cur:
            cur.execute(
                "select fairness_key, count(*) from rowlock.active where claimed_at is not null group by 1"
                " order by 1"
            )
            assert cur.fetchall() == [("c0", 2), ("c1", 2)]


def test_a_row_deleted_while_it_waits_is_not_run(database: str, redis_url: str) -> None:
    create_orders(database, rows=5)
    with dispatching(database, redis_url) as bench:
        bench.source()
        wait_until(lambda: run_states(database).get("queued", 0) == 5, "all five queued")
        with connect(database) as cur:
            cur.execute("delete from orders where id = 3")
        wait_until(lambda: run_states(database).get("canceled", 0) == 1, "the deleted row's run is canceled")
        with BareRunner(database, redis_url, lambda args: None) as runner:
            wait_until(lambda: statuses(database) == {"done": 4}, "the other four are done")
            assert runner.refused == 1
    with connect(database) as cur:
        cur.execute("select source_key, failure->>'reason' from rowlock.run where state = 'canceled'")
        assert cur.fetchall() == [("3", "SourceRowDeleted")]


def test_redis_that_loses_everything_loses_no_run(
    database: str, redis_url: str, redis_server: RedisServer
) -> None:
    create_orders(database, rows=50)
    with dispatching(database, redis_url) as bench:
        bench.source()
        wait_until(lambda: run_states(database).get("queued", 0) == 50, "all queued")
        redis_server.flush()
        with BareRunner(database, redis_url, lambda args: None) as runner:
            wait_until(lambda: statuses(database) == {"done": 50}, "all done after the flush", 30)
            assert len(runner.started) == len(set(runner.started)) == 50


def test_a_row_set_back_to_pending_while_its_run_is_active_is_run_again_afterwards(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=1)
    with dispatching(database, redis_url) as bench:
        bench.source()
        wait_until(lambda: run_states(database).get("queued", 0) == 1, "queued")
        with connect(database) as cur:
            cur.execute("update orders set status = 'new'")
        with BareRunner(database, redis_url, lambda args: None) as runner:
            wait_until(lambda: run_states(database).get("succeeded", 0) == 2, "run twice", 20)
            wait_until(lambda: statuses(database) == {"done": 1}, "told so")
            assert len(runner.started) == 2


def test_the_first_of_a_million_rows_starts_within_two_seconds(database: str, redis_url: str) -> None:
    create_orders(database, rows=1_000_000)
    with connect(database) as cur:
        cur.execute("analyze orders")
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: None) as runner,
    ):
        began = time.monotonic()
        bench.source()
        wait_until(lambda: runner.started, "the first run started", 10)
        assert time.monotonic() - began < 2.0
        wait_until(lambda: len(runner.started) > 200, "it goes on")
        waiting = run_states(database)
        assert sum(n for state, n in waiting.items() if state != "succeeded") <= 1500, (
            "only a window of the million is in the ledger"
        )


def test_idle_sources_are_asked_together_and_one_in_trouble_does_not_hold_the_others(
    database: str, redis_url: str
) -> None:
    create_orders(database)
    with connect(database) as cur:
        cur.execute("create table broken as select * from orders; alter table broken add primary key (id)")
    with dispatching(database, redis_url) as bench, BareRunner(database, redis_url, lambda args: None):
        bench.source()
        bench.source(order_plan(name="default/broken", table="broken"))
        with connect(database) as cur:
            cur.execute("drop table broken")
        wait_until(
            lambda: bench.dispatcher.state.sources["default/broken"].error, "the broken source says so"
        )
        add_orders(database, 20)
        wait_until(lambda: statuses(database) == {"done": 20}, "the healthy source goes on", 10)
    assert "broken" in (bench.dispatcher.state.sources["default/broken"].error or "")
