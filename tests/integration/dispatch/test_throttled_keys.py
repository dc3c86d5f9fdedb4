"""Keys that a limit holds back take no places from those that are free."""

from typing import Any

import pytest

from rowlock_operator.dispatch.database import DispatchSettings, LimitRule
from rowlock_operator.dispatch.feeder import FeederSettings
from rowlock_operator.rows.source_table import SourceLimitKey, SourcePlan
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import Bench, add_orders, create_orders, dispatching, order_plan

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
        wait_until(lambda: sum(waiting(database).values()) >= 400, "the source has as much as it may have", 60)
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
                "select min(amount) from orders where status <> 'new' union all select max(amount) from orders where status = 'new'"
            )
            (least,), (most,) = cursor.fetchall()
            assert least >= most
            cursor.execute("select count(*) from orders where status = 'new'")
            assert (cursor.fetchone() or (0,))[0] > 200


def test_without_the_bound_one_key_takes_a_whole_batch_at_once(database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SourcePlan, "throttles_keys", property(lambda plan: False))
    create_orders(database)
    bulk(database, 12)
    with dispatching(database, redis_url, settings=SETTINGS) as bench:
        fed(bench)
        wait_until(lambda: max(waiting(database).values(), default=0) > 20, "one key has taken places of others")
