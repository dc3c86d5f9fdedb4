"""What a table refuses, of a claim or of an outcome, concerns that row alone: it is tried again at its own
time, and all others pass it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from rowlock_operator.dispatch import database as dispatch_database
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows import refused, write_back
from rowlock_operator.rows.inspection import inspect
from rowlock_operator.rows.pool import Pool
from rowlock_operator.rows.source_table import Inspection, SourcePlan
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import (
    BareRunner,
    Bench,
    add_orders,
    create_orders,
    dispatching,
    run_states,
    statuses,
)

pytestmark = pytest.mark.integration


def sql(url: str, *statements: str) -> list[tuple[Any, ...]]:
    with connect(url) as cur:
        for statement in statements:
            cur.execute(statement)
        return cur.fetchall() if cur.description else []


def trouble_of(bench: Bench) -> str:
    return bench.dispatcher.state.sources["default/orders"].error or ""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused is tried again sooner than in earnest."""
    monkeypatch.setattr(write_back, "_REFUSED", replace(write_back._REFUSED, first=0.5))


@pytest.fixture
def bench(database: str, redis_url: str) -> Iterator[Bench]:
    create_orders(database)
    with dispatching(database, redis_url) as bench:
        yield bench


REFUSES = "create function no() returns trigger language plpgsql as $$ begin {} return new; end $$"
EACH = "create trigger no before update on orders for each row execute function no()"
DEFERRED = (
    "create table allowed(name text primary key)",
    "insert into allowed values ('new'), ('queued'), ('done')",
    "alter table orders add foreign key (status) references allowed deferrable initially deferred",
)
# name -> (what makes the table refuse, the rows it concerns)
OF_OUTCOMES = {
    "a check": (["alter table orders add check (status <> 'done' or id % 10 <> 3)"], 3),
    "a trigger": (
        [REFUSES.format("if new.status = 'done' and new.id % 10 = 3 then raise 'not yet'; end if;"), EACH],
        3,
    ),
    "a trigger with a word of another class": (
        [
            REFUSES.format(
                "if new.status = 'done' and new.id % 10 = 3 then raise 'no' using errcode = '40001'; end if;"
            ),
            EACH,
        ],
        3,
    ),
    "a trigger that lacks a table": (
        [
            REFUSES.format("if new.status = 'done' and new.id % 10 = 3 then delete from nowhere; end if;"),
            EACH,
        ],
        3,
    ),
    "a trigger that swallows": (
        [REFUSES.format("if new.status = 'done' and new.id % 10 = 3 then return null; end if;"), EACH],
        3,
    ),
    "a unique index": (
        [
            "alter table orders add slot int",
            "update orders set slot = nullif(id, 13) where id in (3, 13)",
            "update orders set slot = 3 where id = 13",
            "create unique index on orders(slot) where status = 'done'",
        ],
        1,
    ),
    "a deferred trigger": (
        [
            REFUSES.format("if new.status = 'done' and new.id % 10 = 3 then raise 'at the end'; end if;"),
            (
                "create constraint trigger no after update on orders deferrable initially deferred for each"
                " row execute function no()"
            ),
        ],
        3,
    ),
}


@pytest.mark.parametrize("what", OF_OUTCOMES)
def test_an_outcome_that_is_refused_holds_up_no_other_and_is_told(
    what: str, bench: Bench, database: str, redis_url: str
) -> None:
    statements, refused_rows = OF_OUTCOMES[what]
    add_orders(database, 30)
    sql(database, *statements)
    bench.source()
    with BareRunner(database, redis_url, lambda args: None):
        wait_until(
            lambda: statuses(database) == {"done": 30 - refused_rows, "queued": refused_rows},
            "the others are told",
        )
        held = "one outcome" if refused_rows == 1 else f"{refused_rows} outcomes"
        wait_until(
            lambda: f"{held} cannot be written back" in trouble_of(bench), "and the source says which are not"
        )


def test_an_outcome_that_is_refused_at_commit_waits_until_that_is_mended(
    bench: Bench, database: str, redis_url: str
) -> None:
    def work(args: dict[str, Any]) -> None:
        if args["order_id"] == 7:
            raise ValueError("no")

    sql(database, *DEFERRED)
    add_orders(database, 20)
    bench.source()
    sql(database, """update rowlock.queue set retry = '{"app": {"limit": 0}}'""")
    with BareRunner(database, redis_url, work):
        wait_until(lambda: statuses(database) == {"done": 19, "queued": 1}, "the others are told")
        wait_until(lambda: "row 7" in trouble_of(bench), "and the source says so")
        sql(database, "insert into allowed values ('failed')")
        wait_until(lambda: statuses(database) == {"done": 19, "failed": 1}, "it is told, too", 30)
        wait_until(lambda: not trouble_of(bench), "and all is well")


def test_hundreds_of_refused_outcomes_hold_up_no_later_one(
    bench: Bench, database: str, redis_url: str
) -> None:
    add_orders(database, 600)
    sql(
        database,
        REFUSES.format("if new.status = 'done' and old.id <= 550 then raise 'not yet'; end if;"),
        EACH,
    )
    bench.source()
    with BareRunner(database, redis_url, lambda args: None):
        wait_until(lambda: run_states(database) == {"succeeded": 600}, "all have run", 60)
        add_orders(database, 5)
        good = "select count(*) from orders where id > 550 and status = 'done'"
        wait_until(lambda: sql(database, good) == [(55,)], "rows that nothing refuses are told", 60)
    assert statuses(database) == {"done": 55, "queued": 550}


def test_without_a_time_of_their_own_refused_outcomes_hold_up_all_later_ones(
    bench: Bench, database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_back, "_REFUSED", replace(write_back._REFUSED, first=0.0, longest=0.0))
    monkeypatch.setattr(write_back, "_of_one_row", lambda error: False)
    add_orders(database, 20)
    sql(database, REFUSES.format("if new.status = 'done' and old.id = 3 then raise 'not yet'; end if;"), EACH)
    bench.source()
    with BareRunner(database, redis_url, lambda args: None):
        wait_until(lambda: run_states(database) == {"succeeded": 20}, "all have run")
        wait_until(lambda: "not yet" in trouble_of(bench), "the source says so")
        assert statuses(database).get("done", 0) < 19


def test_a_locked_row_holds_up_no_other_outcome(bench: Bench, database: str, redis_url: str) -> None:
    add_orders(database, 20)
    bench.source()
    wait_until(lambda: run_states(database).get("queued") == 20, "all are taken")
    holder = psycopg2.connect(database)
    try:
        holder.cursor().execute("select from orders where id = 3 for update")
        with BareRunner(database, redis_url, lambda args: None):
            wait_until(lambda: statuses(database) == {"done": 19, "queued": 1}, "the others are told", 10)
            assert not trouble_of(bench)
            holder.rollback()
            wait_until(lambda: statuses(database) == {"done": 20}, "and that one, once it is free", 15)
    finally:
        holder.close()
    assert sql(database, "select count(*) from rowlock.done where left_alone is not null") == [(0,)]


def test_who_refers_to_a_row_does_not_hold_up_its_outcome(
    bench: Bench, database: str, redis_url: str
) -> None:
    add_orders(database, 2)
    sql(database, "create table lines(order_id bigint references orders)")
    bench.source()
    wait_until(lambda: run_states(database).get("queued") == 2, "both are taken")
    holder = psycopg2.connect(database)
    try:
        holder.cursor().execute("insert into lines values (1)")
        with BareRunner(database, redis_url, lambda args: None):
            wait_until(lambda: statuses(database) == {"done": 2}, "both are told", 5)
    finally:
        holder.close()


def test_a_trigger_that_waits_for_one_rows_lock_holds_up_no_other_outcome(
    bench: Bench, database: str, redis_url: str
) -> None:
    add_orders(database, 10)
    sql(
        database,
        "create table totals(id int primary key, n int default 0)",
        "insert into totals values (1)",
        REFUSES.format("if new.status = 'done' and new.id = 4 then update totals set n = n + 1; end if;"),
        EACH,
    )
    bench.source()
    wait_until(lambda: run_states(database).get("queued") == 10, "all are taken")
    holder = psycopg2.connect(database)
    try:
        holder.cursor().execute("select from totals for update")
        with BareRunner(database, redis_url, lambda args: None):
            wait_until(lambda: statuses(database) == {"done": 9, "queued": 1}, "the others are told", 15)
            holder.rollback()
            wait_until(lambda: statuses(database) == {"done": 10}, "and that one", 20)
    finally:
        holder.close()


@pytest.mark.parametrize("type_", ["text not null default ''", "varchar(20) not null default ''", "said"])
def test_an_error_column_that_takes_no_null_is_cleared_with_an_empty_text(
    type_: str, bench: Bench, database: str, redis_url: str
) -> None:
    sql(
        database,
        "create domain said as text not null default '' check (value <> 'nothing')",
        "alter table orders drop error",
    )
    sql(database, f"alter table orders add error {type_}")
    add_orders(database, 3)
    bench.source()
    with BareRunner(database, redis_url, lambda args: None):
        wait_until(lambda: statuses(database) == {"done": 3}, "all are told")
    assert sql(database, "select distinct error::text from orders") == [("",)]


@pytest.mark.parametrize(
    "check", ["error is not null and error <> ''", "length(error) > 0 and error is not null"]
)
def test_an_error_column_that_takes_neither_is_refused_before_a_row_is_taken(
    check: str, bench: Bench, database: str
) -> None:
    sql(
        database,
        "alter table orders alter error set default '-', alter error set not null",
        f"alter table orders add check ({check})",
    )
    add_orders(database, 3)
    with pytest.raises(GiveUp, match="column error refuses '': after a success it is cleared") as caught:
        bench.source()
    assert (caught.value.reason, statuses(database)) == ("StatusRefused", {"new": 3})


def of_tenants(url: str) -> str:
    """The URL of an operator whose rows of one tenant a policy lets it see, and not change."""
    sql(
        url,
        "create role tenant_keeper login",
        "grant all on schema rowlock to tenant_keeper",
        "grant all on all tables in schema rowlock to tenant_keeper",
        "grant execute on all functions in schema rowlock to tenant_keeper",
        "grant select, update on orders to tenant_keeper",
        "alter table orders enable row level security",
        "create policy p on orders to tenant_keeper using (true) with check (customer <> 'c1')",
    )
    return url.replace("postgres@", "tenant_keeper@")


def test_row_security_that_refuses_one_tenant_leaves_out_its_rows_alone(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=20, customers=4)
    try:
        with (
            dispatching(of_tenants(database), redis_url) as bench,
            BareRunner(database, redis_url, lambda args: None),
        ):
            bench.source()
            wait_until(
                lambda: statuses(database) == {"done": 15, "new": 5}, "the other tenants' rows are done"
            )
            entry = bench.dispatcher.state.sources["default/orders"]
            wait_until(lambda: len(entry.refused) == 5, "these are told")
            (why,) = set(entry.refused.values())
            assert ("row-level security" in why, "GRANT" in why) == (True, False)
            sql(database, "alter policy p on orders with check (true)")
            wait_until(lambda: statuses(database) == {"done": 20}, "and taken, once the policy lets them", 30)
    finally:
        sql(database, "drop owned by tenant_keeper", "drop role tenant_keeper")


OF_CLAIMS = {
    "a check": ["alter table orders add check (status <> 'queued' or id > 150)"],
    "a trigger": [
        REFUSES.format("if new.status = 'queued' and new.id <= 150 then raise 'closed'; end if;"),
        EACH,
    ],
    "a deferred foreign key": [
        *DEFERRED,
        (
            "alter table orders add kind text, add foreign key (kind) references allowed deferrable initially"
            " deferred"
        ),
        REFUSES.format("if new.id <= 150 then new.kind := 'unknown'; end if;"),
        EACH,
    ],
    "a domain": [
        "create domain small as int check (value > 150)",
        "alter table orders add size small",
        REFUSES.format("new.size := new.id;"),
        EACH,
    ],
}


@pytest.mark.parametrize("what", OF_CLAIMS)
def test_however_many_rows_are_refused_the_good_ones_are_taken(
    what: str, bench: Bench, database: str
) -> None:
    add_orders(database, 200)
    sql(database, *OF_CLAIMS[what])
    bench.source()
    wait_until(
        lambda: statuses(database) == {"queued": 50, "new": 150}, "those that nothing refuses are taken", 60
    )
    entry = bench.dispatcher.state.sources["default/orders"]
    wait_until(lambda: len(entry.refused) == 150 and not entry.error, "the others are left out and told")
    add_orders(database, 1)
    wait_until(lambda: statuses(database) == {"queued": 51, "new": 150}, "a new one is taken at once", 3)


def test_beyond_the_bound_the_source_says_so(
    bench: Bench, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused, "MOST", 5)
    add_orders(database, 10)
    sql(database, REFUSES.format("raise 'closed';"), EACH)
    bench.source()
    wait_until(lambda: "closed" in trouble_of(bench), "it says so")
    sql(database, "drop trigger no on orders")
    wait_until(lambda: statuses(database) == {"queued": 10}, "and goes on once it is mended", 30)


def test_without_the_empty_text_all_outcomes_are_held(
    database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(of: Pool, plan: SourcePlan) -> Inspection:
        return replace(inspect(of, plan), no_error=None)

    monkeypatch.setattr(dispatch_database, "inspect", blind)
    create_orders(database)
    sql(database, "alter table orders alter error set default '', alter error set not null")
    add_orders(database, 3)
    with dispatching(database, redis_url) as bench, BareRunner(database, redis_url, lambda args: None):
        bench.source()
        wait_until(
            lambda: "3 outcomes cannot be written back" in trouble_of(bench),
            "all work was done, and nothing is told",
        )
        assert statuses(database) == {"queued": 3}
