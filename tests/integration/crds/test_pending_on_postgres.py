"""Every expression the check allows is one that a real PostgreSQL runs, with the columns the check names."""

import random

import psycopg2
import pytest

from rowlock_operator.decide.pending import FUNCTIONS, check_pending
from rowlock_operator.decide.status_values import Unknown, truth_with
from tests.services.expressions import ALLOWED, TABLE

pytestmark = pytest.mark.integration


def test_postgresql_runs_every_expression_that_is_allowed(database: str) -> None:
    connection = psycopg2.connect(database)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(TABLE)
            cursor.execute("insert into orders (id, status) values (1, 'new')")
            cursor.execute(
                "select attname from pg_attribute where attrelid = 'orders'::regclass and attnum > 0"
            )
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
                "select distinct proname from pg_proc where proname = any(%s) and pronamespace ="
                " 'pg_catalog'::regnamespace and (provolatile = 'v' or proretset)",
                (FUNCTIONS.split(", "),),
            )
            assert cursor.fetchall() == []
    finally:
        connection.close()


ATOMS = [
    "status = 'new'",
    "status <> 'done'",
    "'new' = status",
    "status in ('new', 'done')",
    "status not in ('done', null)",
    "status is null",
    "status is not null",
    "status isnull",
    "status notnull",
    "not status in ('new')",
    "status::text = 'done'",
    "true",
    "false",
    "null::boolean",
    "status = null",
    "true = (status = 'new')",
    "(status = 'new') is true",
    "(status = 'new') is not false",
    "status = 'error'",
]
VALUES = ["new", "done", "error", ""]


def _composed(rng: random.Random, depth: int) -> str:
    if depth == 0:
        return rng.choice(ATOMS)
    kind = rng.choice(("and", "or", "not"))
    if kind == "not":
        return f"not ({_composed(rng, depth - 1)})"
    return f"({_composed(rng, depth - 1)}) {kind} ({_composed(rng, rng.randrange(depth))})"


def test_what_is_said_of_a_status_value_is_what_postgresql_says(database: str) -> None:
    """The search for endless sources believes its own three-valued logic: PostgreSQL is asked for the
    truth.
    """
    rng = random.Random(20260101)
    texts = [*ATOMS, *(_composed(rng, rng.randint(1, 3)) for _ in range(120))]
    connection = psycopg2.connect(database)
    known = 0
    try:
        with connection.cursor() as cursor:
            for value in VALUES:
                cursor.execute(
                    f"select {', '.join(f'({text})' for text in texts)} from (select %s::text as status) t",
                    (value,),
                )
                answer = cursor.fetchone()
                assert answer is not None
                for text, truth in zip(texts, answer, strict=True):
                    said = truth_with(text, column="status", value=value)
                    if not isinstance(said, Unknown):
                        known += 1
                        assert said is truth, (text, value)
    finally:
        connection.close()
    assert known > 0.9 * len(texts) * len(VALUES)
