"""Names of tables and columns."""

import pytest

from rowlock_operator.decide.identifiers import parse_order, parse_table
from rowlock_operator.errors import InvalidSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orders", ("public", "orders")),
        ("shop.orders", ("shop", "orders")),
        ("Shop.Orders", ("Shop", "Orders")),
        ("public.order", ("public", "order")),
        ("public.select", ("public", "select")),
        ('"my shop"."odd.name"', ("my shop", "odd.name")),
        ('public."a""b"', ("public", 'a"b')),
        ("public.größe", ("public", "größe")),
        ("public.a;drop", ("public", "a;drop")),
    ],
)
def test_a_table_is_named_exactly_as_the_database_shows_it(text: str, expected: tuple[str, str]) -> None:
    assert parse_table(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("db.public.orders", "has 3 parts"),
        ("my orders", "double quotes"),
        (".orders", "is empty"),
        ("shop.", "is empty"),
        ('""', "is empty"),
        ('"shop', "close it"),
        ('sh"op"', "quote the whole name"),
        ('"shop"x', "quote the whole name"),
        ("x" * 64, "longer than PostgreSQL's 63 bytes"),
        ("ü" * 32, "longer than PostgreSQL's 63 bytes"),
        ("rowlock.active", "belongs to Rowlock"),
        ("pg_catalog.pg_class", "belongs to Rowlock or PostgreSQL"),
        ("pg_temp.x", "belongs to Rowlock or PostgreSQL"),
        ("a\x00b", "NUL"),
    ],
)
def test_what_cannot_be_a_table_of_a_user_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words) as refused:
        parse_table(text)
    assert refused.value.field == "spec.table"


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], (("id", False),)),
        (["id"], (("id", False),)),
        (["id desc"], (("id", True),)),
        (["created_at"], (("created_at", False), ("id", False))),
        (["Priority DESC", "created at asc"], (("Priority", True), ("created at", False), ("id", False))),
        (["desc"], (("desc", False), ("id", False))),
        (["desc desc"], (("desc", True), ("id", False))),
    ],
)
def test_rows_have_an_order_and_the_key_settles_it(
    items: list[str], expected: tuple[tuple[str, bool], ...]
) -> None:
    assert parse_order(items, "id") == expected


def test_a_column_cannot_be_given_twice() -> None:
    with pytest.raises(InvalidSpec, match="given twice"):
        parse_order(["a", "a desc"], "id")
