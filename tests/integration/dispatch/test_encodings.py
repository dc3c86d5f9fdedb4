"""Sources in databases whose encoding is not UTF8: rows flow, what cannot be written is one source's trouble,
and nothing ends.
"""

import pytest

from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.pool import Pool
from tests.services.postgres import PostgresServer, connect
from tests.services.process import wait_until
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


def test_rows_with_the_encodings_own_characters_flow_and_their_errors_are_written(
    postgres: PostgresServer, redis_url: str
) -> None:
    url = postgres.new_database(encoding="LATIN1")
    create_orders(url)
    add_orders(url, 3, customer="Müller ÿ ½")
    seen = []

    def work(args: dict[str, object]) -> object:
        seen.append(args["customer"])
        return {"customer": args["customer"]}

    with dispatching(url, redis_url) as bench, BareRunner(url, redis_url, work):
        bench.source(order_plan(arguments=(("customer", "customer"),)))
        wait_until(lambda: statuses(url) == {"done": 3}, "rows flow")
    assert set(seen) == {"Müller ÿ ½"}


@pytest.mark.parametrize(
    "changes",
    [{"claimed": "läuft €"}, {"pending": "status = '€'"}, {"task": "задача"}],
    ids=["claimed", "pending", "task"],
)
def test_a_source_that_says_what_the_encoding_has_not_is_told_and_holds_up_no_other(
    postgres: PostgresServer, redis_url: str, changes: dict[str, str]
) -> None:
    url = postgres.new_database(encoding="LATIN1")
    create_orders(url, rows=2)
    with connect(url) as cur:
        cur.execute("create table odd (like orders including all)")
        cur.execute("insert into odd(customer, amount) values ('c', 1)")
    with dispatching(url, redis_url) as bench, BareRunner(url, redis_url, lambda args: None):
        try:
            bench.source(order_plan(**{"name": "default/odd", "table": "odd", **changes}))
            told = None
        except GiveUp as error:
            told = str(error)
        bench.source(order_plan())
        wait_until(lambda: statuses(url) == {"done": 2}, "the other source flows")
        if told is None:  # registered: the trouble is the source's own
            told = wait_until(lambda: _trouble(bench), "it is told")
    assert "LATIN1" in str(told)
    assert run_states(url)["succeeded"] == 2


def _trouble(bench: object) -> str:
    return next((str(each.error) for each in bench.dispatcher.state.sources.values() if each.error), "")  # type: ignore[attr-defined]


def test_a_database_without_an_encoding_is_refused_with_a_sentence(postgres: PostgresServer) -> None:
    pool = Pool(postgres.new_database(ledger=False, encoding="SQL_ASCII"))
    with pytest.raises(GiveUp, match="SQL_ASCII") as refused:
        pool.rows("anything", "select 1")
    assert refused.value.reason == "EncodingNotSupported"
    assert pool.in_use == 0
