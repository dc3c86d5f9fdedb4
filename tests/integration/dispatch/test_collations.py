"""Whatever the collation and type of a text key, the ledger's own indexes serve each look for it."""

import re
from typing import Any

import pytest

from rowlock_operator.rows.pool import Pool
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import BareRunner, Bench, dispatching, order_plan

pytestmark = pytest.mark.integration
COLUMNS = {
    "plain": "text",
    "c": 'text collate "C"',
    "german": 'text collate "de-x-icu"',
    "any case": "text collate any_case",
    "varchar": 'varchar(40) collate "C"',
    "char": 'char(40) collate "POSIX"',
    "number": "bigint",
}
SCHEMA = "create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"


def registered(bench: Bench, url: str, column: str, *, rows: int, **changes: Any) -> Any:
    key = "i" if column == "bigint" else "md5(i::text)"
    with connect(url) as cursor:
        cursor.execute(
            f"create table keyed(id {column} primary key, status text not null default 'new', error text)"
        )
        cursor.execute(f"insert into keyed(id) select {key} from generate_series(1, {rows}) i")
        cursor.execute("create index on keyed(id) where status = 'new'")
        cursor.execute("analyze keyed")
    plan = order_plan(name="default/keyed", table="keyed", arguments=(("id", "id"),), **changes)
    bench.dispatcher.register_source(plan, [], queue_id=bench.queue.queue_id, suspended=True)
    return bench.dispatcher.state.sources["default/keyed"].source


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize(
    "changes", [{}, {"status_column": None, "error_column": None}], ids=["status column", "none"]
)
def test_a_claim_looks_each_key_up_in_the_ledgers_own_index(
    database: str, redis_url: str, column: str, changes: dict[str, Any]
) -> None:
    with connect(database) as cursor:
        cursor.execute(SCHEMA)
    with dispatching(database, redis_url) as bench:
        source = registered(bench, database, column, rows=600, **changes)
        assert source.claim(300, []) == 300
        with Pool(database).on_table("looking at a plan") as cursor:
            cursor.execute("analyze rowlock.active; analyze rowlock.seen")
            off = ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "material")
            cursor.execute("; ".join(f"set local enable_{each} = off" for each in off))
            statement = source._text(cursor, "head")
            parameters = {"source": source.source_id, "saturated": [], "cursor": None, "refused": []}
            cursor.execute("explain " + statement, parameters)
            plan = "\n".join(line for (line,) in cursor.fetchall())
    indexes = ("active_source",) if source.plan.status_column else ("active_source", "seen_pkey")
    for index in indexes:
        looked_up = re.search(rf"{index}.*\n.*Index Cond: .*\b(source_)?key = ", plan)
        assert looked_up, plan


@pytest.mark.parametrize("column", ['text collate "C"', "text collate any_case"])
def test_rows_with_such_keys_are_run_once_and_told(database: str, redis_url: str, column: str) -> None:
    with connect(database) as cursor:
        cursor.execute(SCHEMA)
        cursor.execute(
            f"create table keyed(id {column} primary key, status text not null default 'new', error text)"
        )
        cursor.execute("insert into keyed(id) values ('Ann'), ('bob'), ('Ärger'), ('')")

    def statuses() -> list[str]:
        with connect(database) as cursor:
            cursor.execute("select status from keyed")
            return [status for (status,) in cursor.fetchall()]

    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, lambda args: None) as runner,
    ):
        bench.source(order_plan(name="default/keyed", table="keyed", arguments=(("id", "id"),)))
        wait_until(lambda: statuses() == ["done"] * 4, "all are told")
        assert len(runner.started) == 4
