"""The operator's sessions pin what they rely on: a role's or a database's own settings change neither speed
nor values.
"""

from typing import Any

import psycopg2
import pytest

from rowlock_operator.rows.pool import Pool
from tests.services.hostile import make_hostile
from tests.services.pgbouncer import PgBouncer
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
WAYS = ["direct", "pgbouncer"]

ODD_ROWS = """
create table odd(at timestamptz, local timestamp, day date, span interval, bytes bytea, ratio float8,
  small float4, moments timestamptz[],
                 words text primary key, status text not null default 'new', error text);
insert into odd values ('2026-03-29 01:30:00.123456+00', '2026-12-01 23:00', '2026-12-01',
  '1 year 2 mons -3 days 04:05:06.789',
                        '\\xdeadbeef5c27', 0.1 + 0.2, 1e-20, '{2026-03-29 01:30:00+00}',
                        E'gr\\u00fc\\u00dfe \\\\ '' \\u65e5\\u672c'),
                       ('1999-12-31 23:59:59+00', '1900-02-01', '0044-03-15 BC', '-00:00:01', '', 'NaN',
                       '-Infinity', '{}', 'back\\slash')
"""
ODD_COLUMNS = ("at", "local", "day", "span", "bytes", "ratio", "small", "moments", "words")


def where(way: str, database: str, pgbouncer: PgBouncer) -> str:
    return pgbouncer.url(database) if way == "pgbouncer" else database


def test_a_pool_pins_its_transactions_and_leaves_nothing_in_the_session(database: str) -> None:
    make_hostile(database)
    pool = Pool(database, size=1)
    pinned = {
        "transaction_isolation": "read committed",
        "transaction_read_only": "off",
        "transaction_deferrable": "off",
        "timezone": "UTC",
        "datestyle": "ISO, MDY",
        "intervalstyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "client_encoding": "UTF8",
        "statement_timeout": "0",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "10s",
    }
    try:
        found = pool.rows(
            "test", "select name, current_setting(name) from unnest(%s) as name", (list(pinned),)
        )
        assert dict(found) == pinned
        with pool._lock:
            (kept,) = pool._free
        kept.rollback()
        kept.set_session(autocommit=True)
        with kept.cursor() as cursor:
            cursor.execute("select current_setting('timezone'), current_setting('lock_timeout')")
            assert cursor.fetchall() == [("Asia/Kathmandu", "20ms")]
    finally:
        pool.close()


def test_a_pooled_session_that_the_server_ended_is_no_error(database: str) -> None:
    plain = make_hostile(database, idle_session_timeout="100ms")
    pool = Pool(database, size=1)
    try:
        assert pool.rows("test", "select 1") == [(1,)]
        sessions = (
            "select count(*) from pg_stat_activity where application_name = 'rowlock-operator' and datname ="
            " current_database()"
        )

        def none_left() -> bool:
            with connect(plain) as cursor:
                cursor.execute(sessions)
                return bool(cursor.fetchone() == (0,))

        wait_until(none_left, "the server ended the idle session")
        assert pool.rows("test", "select 2") == [(2,)]
    finally:
        pool.close()


@pytest.mark.parametrize("way", WAYS)
def test_rows_become_outcomes_without_one_error(
    postgres: PostgresServer, redis_url: str, pgbouncer: PgBouncer, way: str
) -> None:
    """Migration, registration, claims, write-back, figures, sweeps."""
    database = postgres.new_database(ledger=False)
    plain = make_hostile(database)
    create_orders(plain, rows=200)
    with (
        dispatching(where(way, database, pgbouncer), redis_url) as bench,
        BareRunner(plain, redis_url, lambda args: args),
    ):
        bench.source()
        wait_until(lambda: statuses(plain) == {"done": 200}, "all orders done", 60)
        for _ in range(20):  # one by one: claims, finishes and write-backs meet
            add_orders(plain, 5)
            wait_until(lambda: "new" not in statuses(plain), "taken")
        wait_until(lambda: statuses(plain) == {"done": 300}, "all orders done", 60)
        assert run_states(plain) == {"succeeded": 300}
        assert bench.dispatcher.state.errors == {}


@pytest.mark.parametrize("way", WAYS)
def test_values_of_rows_are_those_of_a_plain_database(
    postgres: PostgresServer, redis_url: str, pgbouncer: PgBouncer, way: str
) -> None:
    arguments = tuple((name, name) for name in ODD_COLUMNS)
    plan = order_plan(
        name="default/odd", table="odd", key="words", order_by=(("at", False),), arguments=arguments
    )
    seen: list[list[Any]] = []
    for hostile in (False, True):
        database = postgres.new_database()
        plain = database
        if hostile:
            plain = make_hostile(database)
        with connect(plain) as cursor:
            cursor.execute("set standard_conforming_strings = on")
            cursor.execute(ODD_ROWS)
        heard: list[dict[str, Any]] = []
        with (
            dispatching(where(way, database, pgbouncer), redis_url) as bench,
            BareRunner(plain, redis_url, heard.append),
        ):
            bench.source(plan)

            def told(url: str = plain) -> bool:
                with connect(url) as cursor:
                    cursor.execute("select count(*) from odd where status = 'done'")
                    return bool(cursor.fetchone() == (2,))

            wait_until(told, "both rows are told their outcome", 30)
        with connect(plain) as cursor:
            cursor.execute("select source_key from rowlock.run order by 1")
            seen.append([sorted(map(repr, heard)), cursor.fetchall()])
    assert seen[0] == seen[1]
    assert "2026-03-29T01:30:00.123456+00:00" in str(seen[0])


def test_without_the_pins_such_a_role_cannot_even_write(database: str) -> None:
    """The negative twin."""
    make_hostile(database)
    connection = psycopg2.connect(database)
    try:
        with connection.cursor() as cursor, pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            cursor.execute("create table no_way(id int)")
    finally:
        connection.close()
