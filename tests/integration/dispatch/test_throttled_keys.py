"""Keys that a limit holds back take no places from those that are free."""

import contextlib
from typing import Any

import pytest

from rowlock_operator.dispatch.database import DispatchSettings, LimitRule
from rowlock_operator.dispatch.feeder import FeederSettings
from rowlock_operator.rows.source import Source
from rowlock_operator.rows.source_table import SourceLimitKey, SourcePlan
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import (
    BareRunner,
    Bench,
    add_orders,
    create_orders,
    dispatching,
    order_plan,
    statuses,
)

pytestmark = pytest.mark.integration
# A tenth of the real sizes: a key is saturated with 10, a source may have 400.
SETTINGS = DispatchSettings(feeder=FeederSettings(per_key=10, window=100, hard_cap=400, batch=50))
RULE = LimitRule("per-customer", "customer", 1, None, None)


def waiting(url: str) -> dict[str, int]:
    """Runs in the ledger, by key."""
    with connect(url) as cursor:
        cursor.execute("select fairness_key, count(*) from rowlock.active group by 1")
        return dict(cursor.fetchall())


def fed(bench: Bench, **changes: Any) -> None:
    bench.source(order_plan(limits=(SourceLimitKey("x", "customer"),), **changes), [RULE])


def bulk(url: str, customers: int) -> None:
    for number in range(customers):
        add_orders(url, 150, customer=f"bulk{number:02}")


def test_no_key_takes_more_places_than_it_may_have_waiting(database: str, redis_url: str) -> None:
    create_orders(database)
    bulk(database, 12)
    with dispatching(database, redis_url, settings=SETTINGS) as bench:
        fed(bench)
        wait_until(lambda: len(waiting(database)) == 12, "every key has its place")
        assert max(waiting(database).values()) <= 20, "a claim may find a key with some waiting already"


def test_a_free_key_passes_the_cap_of_a_source(database: str, redis_url: str) -> None:
    create_orders(database)
    bulk(database, 45)
    with dispatching(database, redis_url, settings=SETTINGS) as bench:
        fed(bench)
        wait_until(
            lambda: sum(waiting(database).values()) >= 400, "the source has as much as it may have", 60
        )
        add_orders(database, 3, customer="small")
        wait_until(lambda: waiting(database).get("small"), "a run of the new key", 10)


def test_the_order_of_one_key_stays_and_the_surplus_comes_later(database: str, redis_url: str) -> None:
    create_orders(database)
    bulk(database, 2)
    with dispatching(database, redis_url, settings=SETTINGS) as bench:
        fed(bench, order_by=(("amount", True), ("id", False)))
        wait_until(lambda: len(waiting(database)) == 2, "both keys")
        with connect(database) as cursor:
            cursor.execute(
                "select min(amount) from orders where status <> 'new' union all select max(amount) from"
                " orders where status = 'new'"
            )
            (least,), (most,) = cursor.fetchall()
            assert least >= most
            cursor.execute("select count(*) from orders where status = 'new'")
            assert (cursor.fetchone() or (0,))[0] > 200


def test_without_the_bound_one_key_takes_a_whole_batch_at_once(
    database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SourcePlan, "throttles_keys", property(lambda plan: False))
    create_orders(database)
    bulk(database, 12)
    with dispatching(database, redis_url, settings=SETTINGS) as bench:
        fed(bench)
        wait_until(
            lambda: max(waiting(database).values(), default=0) > 20, "one key has taken places of others"
        )


# A look from the beginning is followed by none for half a minute: what comes sooner was found without one.
RARELY = DispatchSettings(
    feeder=FeederSettings(per_key=10, window=100, batch=50, share=1e-6, longest_pause_seconds=30)
)


@pytest.mark.parametrize(
    "order_by",
    [
        (("id", False),),
        (("created_at", False), ("id", False)),
        (("amount", True), ("id", True)),
        (("customer", False), ("id", False)),
    ],
    ids=lambda order: ", ".join(f"{column}{' desc' if down else ''}" for column, down in order),
)
def test_behind_a_throttled_keys_rows_another_key_does_not_wait_for_a_look_through_them(
    database: str, redis_url: str, order_by: tuple[tuple[str, bool], ...]
) -> None:
    behind_a_bulk(database, redis_url, order_by, seconds=10)


def test_without_a_place_to_begin_at_it_waits(
    database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "_may_know_places", property(lambda source: False))
    with pytest.raises(AssertionError, match="the free key"):
        behind_a_bulk(database, redis_url, (("id", False),), seconds=4)


def test_a_row_that_comes_before_that_place_is_found_by_the_next_look_from_the_beginning(
    database: str, redis_url: str
) -> None:
    create_orders(database)
    add_orders(database, 2000, customer="bulk")
    order = (("amount", False), ("id", False))
    index(database, order)
    with dispatching(database, redis_url, settings=SETTINGS) as bench:
        fed(bench, order_by=order)
        wait_until(lambda: knows_place(bench), "the throttled key has enough waiting")
        insert(database, "early", amount=-1)
        wait_until(lambda: waiting(database).get("early"), "the row before all others", 10)


def test_a_throttled_key_goes_on_once_its_runs_have_ended(database: str, redis_url: str) -> None:
    create_orders(database)
    add_orders(database, 60, customer="bulk")
    with (
        dispatching(database, redis_url, settings=SETTINGS) as bench,
        BareRunner(database, redis_url, lambda args: None),
    ):
        fed(bench)
        wait_until(lambda: statuses(database) == {"done": 60}, "six times what it may have waiting", 60)


def behind_a_bulk(
    url: str, redis_url: str, order_by: tuple[tuple[str, bool], ...], *, seconds: float
) -> None:
    """A thousand rows of a throttled key, then, once nothing more of it is taken, one of another key behind
    them.
    """
    create_orders(url)
    add_orders(url, 1000, customer="bulk")
    index(url, order_by)
    with dispatching(url, redis_url, settings=RARELY) as bench:
        fed(bench, order_by=order_by)
        wait_until(
            lambda: (
                waiting(url).get("bulk", 0) >= 10 and bench.dispatcher.state.sources["default/orders"].counted
            ),
            "settled",
        )
        with contextlib.suppress(AssertionError):
            wait_until(lambda: knows_place(bench), "", 5)
        insert(url, "free", amount=0)
        wait_until(lambda: waiting(url).get("free"), "the free key", seconds)


def knows_place(bench: Bench) -> bool:
    return bench.dispatcher.state.sources["default/orders"].source.knows_place(["bulk"])


def insert(url: str, customer: str, *, amount: int) -> None:
    with connect(url) as cursor:
        cursor.execute("insert into orders(customer, amount) values (%s, %s)", (customer, amount))


def index(url: str, order_by: tuple[tuple[str, bool], ...]) -> None:
    columns = ", ".join(f"{column}{' desc' if down else ''}" for column, down in order_by)
    with connect(url) as cursor:
        cursor.execute(f"create index on orders({columns}) where status = 'new'")
