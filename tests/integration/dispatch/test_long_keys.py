"""A row whose key, fairness key or limit column is longer than the ledger takes is left out and told; it
stops nobody.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from rowlock_operator.dispatch.database import LimitRule
from rowlock_operator.reconcile.row_source import why_left_out
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import BareRunner, Bench, dispatching, order_plan

pytestmark = pytest.mark.integration
RANDOM = (  # 32 bytes each
    "(select string_agg(md5(i::text || random()::text), '') from generate_series(1, {}) i)"
)
LIMIT = LimitRule("each", "word", 2, None, None)


@pytest.fixture
def bench(database: str, redis_url: str) -> Iterator[Bench]:
    with dispatching(database, redis_url) as bench, BareRunner(database, redis_url, lambda args: None):
        yield bench


@pytest.mark.parametrize(
    ("role", "type_"),
    [
        ("key", "text"),
        ("key", "varchar"),
        ("key", "numeric"),
        ("fairness", "text"),
        ("fairness", "varchar(1200000)"),
        ("limit", "text"),
        ("limit", "jsonb"),
    ],
)
def test_the_others_flow_and_it_is_told(bench: Bench, database: str, role: str, type_: str) -> None:
    long = {"numeric": "('1' || repeat('0', {}) )::numeric", "jsonb": "jsonb_build_array({})"}.get(
        type_, "{}"
    )
    too_long = [
        long.format(each)
        for each in (
            ("9000", "100000") if type_ == "numeric" else (RANDOM.format(300), RANDOM.format(30_000))
        )
    ]
    well = {"numeric": "n", "jsonb": "to_jsonb(n)"}.get(type_, "'w' || n")
    with connect(database) as cur:
        cur.execute(
            "create table odd(number bigint primary key, word "
            + type_
            + ", status text default 'new', error text)"
        )
        if role == "key":
            cur.execute("create unique index on odd(md5(word::text))")
            cur.execute("alter table odd add constraint short unique (number)")
        cur.execute(f"insert into odd(number, word) select n, {well} from generate_series(3, 7) n")
        cur.execute(
            "insert into odd(number, word) values "
            + ", ".join(f"({i + 1}, {each})" for i, each in enumerate(too_long))
        )
        if role == "key":
            # A view's word is taken: an index of the table itself would not hold such a key either.
            cur.execute("create view words as select word, status, error, number from odd")
    changes: dict[str, Any] = {
        "name": "default/odd",
        "table": "odd",
        "key": "number",
        "arguments": (("n", "number"),),
        "order_by": (),
    }
    if role == "key":
        changes |= {"table": "words", "key": "word", "order_by": (("number", False),)}
    if role == "fairness":
        changes |= {"fairness_key": "word"}
    bench.source(order_plan(**changes), [LIMIT] if role == "limit" else [])
    entry = bench.dispatcher.state.sources["default/odd"]

    def done() -> bool:
        with connect(database) as cur:
            cur.execute("select count(*) from odd where status = 'done'")
            return bool(cur.fetchone() == (5,))

    wait_until(done, "the others are done")
    wait_until(lambda: entry.left_out == (0, 0, 2), "it is counted", 25)
    said = why_left_out(entry)
    assert "2 with more bytes than a run may have in word" in said
    assert entry.trouble is None
    with connect(database) as cur:
        cur.execute("select count(*) from odd where status = 'new'")
        assert cur.fetchone() == (2,)


def test_a_limit_column_of_four_kilobytes_is_a_limit_like_others(bench: Bench, database: str) -> None:
    with connect(database) as cur:
        cur.execute(
            "create table odd(id bigint primary key, word text, status text default 'new', error text)"
        )
        cur.execute(
            f"insert into odd(id, word) select n, (select {RANDOM.format(125)}) || n from generate_series(1,"
            " 3) n"
        )
    bench.source(
        order_plan(name="default/odd", table="odd", arguments=(("id", "id"),), fairness_key="word"), [LIMIT]
    )

    def done() -> bool:
        with connect(database) as cur:
            cur.execute("select count(*) from odd where status = 'done'")
            return bool(cur.fetchone() == (3,))

    wait_until(done, "all are done")
