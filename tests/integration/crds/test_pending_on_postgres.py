"""Every expression the check allows is one that a real PostgreSQL runs, with the columns the check names."""

import psycopg2
import pytest

from rowlock_operator.decide.pending import FUNCTIONS, check_pending
from tests.services.expressions import ALLOWED, TABLE

pytestmark = pytest.mark.integration


def test_postgresql_runs_every_expression_that_is_allowed(database: str) -> None:
    connection = psycopg2.connect(database)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(TABLE)
            cursor.execute("insert into orders (id, status) values (1, 'new')")
            cursor.execute("select attname from pg_attribute where attrelid = 'orders'::regclass and attnum > 0")
            columns = {name for (name,) in cursor.fetchall()}
            for text in ALLOWED:
                checked = check_pending(text)
                assert checked.columns <= columns, text
                cursor.execute(f"select count(*) from orders where ({checked.text})".replace("%", "%%"), ())
    finally:
        connection.close()


def test_no_allowed_function_is_volatile_or_returns_a_set(database: str) -> None:
    connection = psycopg2.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "select distinct proname from pg_proc where proname = any(%s) and pronamespace = 'pg_catalog'::regnamespace "
                "and (provolatile = 'v' or proretset)",
                (FUNCTIONS.split(", "),),
            )
            assert cursor.fetchall() == []
    finally:
        connection.close()
