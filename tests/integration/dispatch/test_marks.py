"""A row is run only where its mark stays: what swallows or changes it would have the row run again and again,
or never told its outcome.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from rowlock_operator.dispatch.database import DispatchSettings
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.source import Source
from tests.services.operator_room import counted_for
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import (
    BareRunner,
    Bench,
    add_orders,
    create_orders,
    dispatching,
    order_plan,
    run_states,
    statuses,
)

pytestmark = pytest.mark.integration
TRIGGER = "create function odd() returns trigger language plpgsql as $$ begin {} end $$"
BEFORE = "create trigger odd before update on orders for each row execute function odd()"


def sql(url: str, *statements: str) -> list[tuple[Any, ...]]:
    with connect(url) as cur:
        for statement in statements:
            cur.execute(statement)
        return cur.fetchall() if cur.description else []


def trouble_of(bench: Bench) -> str:
    entry = bench.dispatcher.state.sources["default/orders"]
    return f"{entry.trouble.reason}: {entry.trouble.message}" if entry.trouble else ""


@pytest.fixture
def bench(database: str, redis_url: str) -> Iterator[Bench]:
    create_orders(database)
    with dispatching(database, redis_url, settings=DispatchSettings()) as bench:
        yield bench


# What takes the marks of rows with an id up to 5, of ten.
SWALLOWS = {
    "a trigger that returns null": [
        TRIGGER.format("if new.id <= 5 then return null; end if; return new;"),
        BEFORE,
    ],
    "a trigger that keeps the old row": [
        TRIGGER.format("if new.id <= 5 then return old; end if; return new;"),
        BEFORE,
    ],
    "a trigger that says something else": [
        TRIGGER.format(
            "if new.id <= 5 and new.status = 'queued' then new.status := 'review'; end if; return new;"
        ),
        BEFORE,
    ],
    "a trigger that writes in capitals": [
        TRIGGER.format(
            "if new.id <= 5 and new.status = 'queued' then new.status := 'QUEUED'; end if; return new;"
        ),
        BEFORE,
    ],
    "a trigger afterwards": [
        TRIGGER.format(
            "if new.id <= 5 and new.status = 'queued' then update orders set status = 'new' where id ="
            " new.id; end if; return null;"
        ),
        "create trigger odd after update on orders for each row execute function odd()",
    ],
    "a trigger once a statement": [
        TRIGGER.format("update orders set status = 'new' where id <= 5 and status = 'queued'; return null;"),
        (
            "create trigger odd after update on orders for each statement when (pg_trigger_depth() = 0)"
            " execute function odd()"
        ),
    ],
    "a trigger at the end": [
        TRIGGER.format("if new.id <= 5 then return null; end if; return new;"),
        (
            "create trigger odd before update on orders for each row when (new.status = 'queued') execute"
            " function odd()"
        ),
    ],
    "a conditional rule": ["create rule odd as on update to orders where old.id <= 5 do instead nothing"],
}


@pytest.mark.parametrize("what", SWALLOWS)
def test_rows_whose_mark_does_not_take_are_left_out_and_the_others_done(
    what: str, bench: Bench, database: str, redis_url: str
) -> None:
    add_orders(database, 10)
    sql(database, *SWALLOWS[what])
    with BareRunner(database, redis_url, lambda args: None) as runner:
        bench.source()
        wait_until(lambda: statuses(database) == {"done": 5, "new": 5}, "the others are done")
        entry = bench.dispatcher.state.sources["default/orders"]
        wait_until(lambda: len(entry.refused) == 5, "these are told")
        assert "marking it as queued did not take" in entry.refused["3"]
        assert len(runner.started) == 5


def test_where_no_mark_takes_the_source_says_so_and_goes_on_once_it_is_mended(
    bench: Bench, database: str, redis_url: str
) -> None:
    add_orders(database, 3)
    sql(database, TRIGGER.format("return null;"), BEFORE)
    with BareRunner(database, redis_url, lambda args: None) as runner:
        bench.source()
        wait_until(lambda: trouble_of(bench).startswith("MarkLost"), "the source says so")
        assert counted_for(2, lambda: len(runner.started)) == 0
        sql(database, "drop trigger odd on orders")
        wait_until(lambda: statuses(database) == {"done": 3}, "all are done", 30)
        assert trouble_of(bench) == ""


def test_without_the_comparison_one_row_is_run_again_and_again(
    bench: Bench, database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "_why_unmarked", lambda self, there, status: None)
    add_orders(database, 1)
    sql(database, TRIGGER.format("return null;"), BEFORE)
    with BareRunner(database, redis_url, lambda args: None) as runner:
        bench.source()
        wait_until(lambda: len(runner.started) > 5, "it runs and runs")
        assert statuses(database) == {"new": 1}


@pytest.mark.parametrize(
    ("condition", "type_"),
    [
        ("status = 'new'", "text"),
        ("status in ('new', 'again')", "varchar(10)"),
        ("status <> 'queued' and amount > 0", "char(10)"),
        ("status = 'new'", "stage"),
        ("status is distinct from 'queued'", "text"),
    ],
)
def test_a_view_that_every_claimed_row_leaves_is_refused_before_a_row_is_taken(
    condition: str, type_: str, bench: Bench, database: str
) -> None:
    sql(
        database,
        "create type stage as enum ('new', 'again', 'queued', 'done', 'failed')",
        "drop index orders_new",
    )
    sql(
        database,
        f"alter table orders alter status drop default, alter status type {type_} using status::{type_}",
    )
    sql(database, f"create view open_orders as select * from orders where {condition}")
    add = "insert into orders(customer, amount, status) values ('c', 1, 'new')"
    sql(database, add)
    with pytest.raises(GiveUp) as caught:
        bench.source(order_plan(table="open_orders"))
        wait_until(lambda: trouble_of(bench), "a condition that cannot be foreseen is met by the first claim")
        raise GiveUp(trouble_of(bench).partition(": ")[2], trouble_of(bench).partition(":")[0])
    assert caught.value.reason == "MarkLost"
    assert "view" in str(caught.value)
    assert (sum(run_states(database).values()), sql(database, "select status::text from orders")) == (
        0,
        [("new",)],
    )


def test_rows_that_leave_a_view_are_told_and_not_canceled_as_deleted(bench: Bench, database: str) -> None:
    """A condition that the planner cannot see through."""
    add_orders(database, 3)
    sql(
        database,
        "create function is_open(s text) returns bool language plpgsql stable as $$ begin return s in ('new',"
        " 'again'); end $$",
        "create view open_orders as select * from orders where is_open(status)",
    )
    bench.source(order_plan(table="open_orders"))
    wait_until(lambda: trouble_of(bench).startswith("MarkLost"), "the source says so")
    assert "it leaves view open_orders" in trouble_of(bench)
    assert (run_states(database), statuses(database)) == ({}, {"new": 3})


def test_a_view_that_goes_on_showing_its_rows_serves(bench: Bench, database: str, redis_url: str) -> None:
    add_orders(database, 3)
    sql(database, "create view open_orders as select * from orders where status in ('new', 'queued')")
    with BareRunner(database, redis_url, lambda args: None):
        bench.source(order_plan(table="open_orders"))
        wait_until(lambda: statuses(database) == {"done": 3}, "all are done")


def view_with_trigger(url: str, body: str) -> None:
    sql(
        url,
        "create view seen_orders as select id, customer, amount, status, error, 1 as one from orders where"
        " id > 0",
        TRIGGER.format(body),
        "create trigger odd instead of update on seen_orders for each row execute function odd()",
    )


@pytest.mark.parametrize("returns", ["null", "new"])
def test_a_view_whose_trigger_does_nothing_is_told(returns: str, bench: Bench, database: str) -> None:
    add_orders(database, 2)
    view_with_trigger(database, f"return {returns};")
    bench.source(order_plan(table="seen_orders"))
    wait_until(lambda: trouble_of(bench).startswith("MarkLost"), "the source says so")
    assert (run_states(database), statuses(database)) == ({}, {"new": 2})


def test_a_view_whose_trigger_writes_serves(bench: Bench, database: str, redis_url: str) -> None:
    add_orders(database, 2)
    view_with_trigger(
        database, "update orders set status = new.status, error = new.error where id = new.id; return new;"
    )
    with BareRunner(database, redis_url, lambda args: None):
        bench.source(order_plan(table="seen_orders"))
        wait_until(lambda: statuses(database) == {"done": 2}, "both are done")


@pytest.mark.parametrize("kind", ["also", "instead"])
def test_tables_and_views_whose_rules_let_updates_through_serve(
    kind: str, bench: Bench, database: str, redis_url: str
) -> None:
    add_orders(database, 2)
    plan = order_plan()
    if kind == "also":
        sql(database, "create table journal(id bigint, status text)")
        sql(
            database,
            "create rule j as on update to orders do also insert into journal values (new.id, new.status)",
        )
    else:
        sql(database, "create view ruled as select o.*, 1 as one from orders o")
        sql(
            database,
            "create rule u as on update to ruled do instead update orders set status = new.status, error ="
            " new.error where id = old.id",
        )
        plan = order_plan(table="ruled")
    with BareRunner(database, redis_url, lambda args: None):
        bench.source(plan)
        wait_until(lambda: statuses(database) == {"done": 2}, "both are done")
    if kind == "also":
        assert sql(database, "select status, count(*) from journal group by 1 order by 1") == [
            ("done", 2),
            ("queued", 2),
        ]


def test_a_table_whose_rule_does_nothing_instead_is_refused_at_once(bench: Bench, database: str) -> None:
    sql(database, "create rule quiet as on update to orders do instead nothing")
    with pytest.raises(GiveUp, match="its rule quiet does something else instead of every update") as caught:
        bench.source()
    assert caught.value.reason == "MarkLost"


@pytest.mark.parametrize("swallowed", [True, False])
def test_a_partition_with_a_trigger_of_its_own_is_looked_at(
    swallowed: bool, bench: Bench, database: str, redis_url: str
) -> None:
    sql(
        database,
        "create table parts(id bigint primary key, amount int default 1, status text not null default 'new',"
        " error text) partition by range (id)",
        "create table parts_1 partition of parts for values from (1) to (6)",
        "create table parts_2 partition of parts for values from (6) to (100)",
        "insert into parts(id) select generate_series(1, 10)",
        TRIGGER.format(f"return {'null' if swallowed else 'new'};"),
        "create trigger odd before update on parts_1 for each row execute function odd()",
    )
    with BareRunner(database, redis_url, lambda args: None):
        bench.source(order_plan(table="parts"))
        done = 5 if swallowed else 10
        wait_until(
            lambda: sql(database, "select count(*) from parts where status = 'done'") == [(done,)],
            "the others are done",
        )
    assert sum(run_states(database).values()) == done
