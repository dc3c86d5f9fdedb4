"""A limit that is gone holds nothing back, neither what comes nor what waits."""

import pytest

from rowlock_operator.dispatch.database import LimitRule
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import create_orders, dispatching, order_plan, run_states

pytestmark = pytest.mark.integration

ONE_EACH = LimitRule("per-customer", "customer", 1, None, None)
ONE_ALL = LimitRule("all", None, 1, None, None)
SLOW = LimitRule("pace", "customer", None, 0.001, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([ONE_EACH], []),
        ([ONE_ALL], []),
        ([SLOW], []),
        ([ONE_EACH, SLOW], [LimitRule("pace", "customer", None, None, None)]),
        ([ONE_EACH], [LimitRule("per-customer", "customer", None, None, None)]),
        ([ONE_EACH], [LimitRule("renamed", "customer", 50, None, None)]),
        ([SLOW], [LimitRule("pace", "customer", None, 1000.0, 1000.0)]),
    ],
    ids=[
        "removed",
        "of the source",
        "rate removed",
        "one of two removed",
        "concurrency none",
        "renamed",
        "raised",
    ],
)
def test_what_waits_behind_a_limit_flows_when_it_is_gone(
    database: str, redis_url: str, before: list[LimitRule], after: list[LimitRule]
) -> None:
    create_orders(database, rows=40, customers=3)
    with dispatching(database, redis_url) as bench:
        bench.source(order_plan(), before)
        wait_until(
            lambda: run_states(database).get("queued", 0) > 0 and run_states(database).get("pending", 0) > 30,
            "most of them wait",
        )
        bench.source(order_plan(), after)
        wait_until(lambda: run_states(database) == {"queued": 40}, "all of them are handed out", 5)
    with connect(database) as cur:
        cur.execute("select count(*) from rowlock.limit_rule")
        assert cur.fetchone() == (len(after),)


def test_limits_of_other_sources_stay(database: str, redis_url: str) -> None:
    create_orders(database, rows=10, customers=1)
    with connect(database) as cur:
        cur.execute("create table others as select * from orders; alter table others add primary key (id)")
    with dispatching(database, redis_url) as bench:
        bench.source(order_plan(), [ONE_EACH])
        bench.source(order_plan(name="default/others", table="others"), [ONE_EACH])
        bench.source(order_plan(), [])
        wait_until(
            lambda: run_states(database) == {"queued": 11, "pending": 9}, "ten of the one, one of the other"
        )
