"""What a RowSource may call pending, and what is refused with which remedy."""

import pytest

from rowlock_operator.api.row_source import RowSource
from rowlock_operator.decide.pending import check_pending
from rowlock_operator.decide.status_values import check_status_values
from rowlock_operator.errors import InvalidSpec
from tests.services.expressions import ALLOWED
from tests.services.manifests import STATUS_COLUMN, row_source

REFUSED = {
    "": "it is empty",
    "   ": "it is empty",
    "status = 'new'; delete from orders": "';'",
    "true -- everything": "remove it",
    "true /* everything */": "remove it",
    r"note = 'a\'b'": "backslash",
    "note = $$x$$": "'$'",
    "note = $tag$it's$tag$": "'$'",
    "note = $1": "'$'",
    "note = e'x'": "single quotes",
    "note = U&'x'": "single quotes",
    "note = b'1'": "single quotes",
    "status = :status": "write the value itself",
    "status = %s": "write the value itself",
    "status = ?": "write the value itself",
    "status =": "near character",
    "status 'new'": "not a SQL expression",
    "status = 'new": "not a SQL expression",
    "(status = 'new'": "not a SQL expression",
    "select true": "keep what it finds in a column",
    "exists (select 1 from secrets)": "keep what it finds in a column",
    "id in (select id from secrets)": "keep what it finds in a column",
    "id = (select max(id) from orders)": "keep what it finds in a column",
    "id = any(select 1)": "keep what it finds in a column",
    "true union select true": "keep what it finds in a column",
    "status = 'new' limit 1": "not a SQL expression",
    "status = 'new', true": "not a SQL expression",
    "orders.status = 'new'": "write the column alone, status",
    "public.orders.status = 'new'": "write the column alone, status",
    "pg_sleep(10) is null": "function pg_sleep is not allowed",
    "random() < 0.5": "function random is not allowed",
    "nextval('s') > 0": "function nextval is not allowed",
    "clock_timestamp() > created_at": "write now()",
    "generate_series(1, 3) = 1": "function generate_series is not allowed",
    "unnest(tags) = 'a'": "function unnest is not allowed",
    "count(*) > 1": "function count is not allowed",
    "row_number() over () = 1": "function row_number is not allowed",
    "ifnull(status, 'new') = 'new'": "function ifnull is not allowed",
    "public.lower(status) = 'new'": "not allowed",
    "\"lower\"(status) = 'new'": "without quotes",
    "set_config('a', 'b', false) = 'b'": "function set_config is not allowed",
    "current_setting('a') = 'b'": "function current_setting is not allowed",
    "pg_read_file('/etc/passwd') is not null": "function pg_read_file is not allowed",
    "current_user = 'me'": "not allowed",
    "note::regclass is not null": "not allowed",
    "note::shop.kind = 'x'": "not allowed",
    "(id, note) = (1, 'a')": "not allowed",
    "tags[1] = 'a'": "not allowed",
    "id + 1": "is a value, not a condition",
    "'new'": "is a value, not a condition",
    "1": "is a value, not a condition",
    "lower(status)": "is a value, not a condition",
    "(lower(status))": "is a value, not a condition",
    "now()": "is a value, not a condition",
    "null": "is a value, not a condition",
    "*": "not",
    "status = 'new' and": "not a SQL expression",
    "drop table orders": "not allowed",
    "grant all on orders to public": "not allowed",
}


@pytest.mark.parametrize("text", ALLOWED)
def test_an_expression_over_the_columns_of_a_row_is_allowed(text: str) -> None:
    assert check_pending(f"  {text} ").text == text


@pytest.mark.parametrize(("text", "remedy"), REFUSED.items())
def test_anything_else_is_refused_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        check_pending(text)
    assert refused.value.field == "spec.pending"
    assert remedy in refused.value.why


def test_nesting_beyond_reason_is_refused_and_not_a_crash() -> None:
    with pytest.raises(InvalidSpec):
        check_pending("(" * 990 + "true" + ")" * 990)


def test_columns_are_named_as_postgresql_reads_them() -> None:
    assert check_pending("\"createdAt\" < now() and Status = 'new'").columns == {"createdAt", "status"}


ENDLESS = [
    pytest.param("status <> 'done'", {}, "statusColumn.claimed", id="claimed rows stay pending"),
    pytest.param("status in ('new', 'queued')", {}, "statusColumn.claimed", id="claimed is in the list"),
    pytest.param(
        "status in ('new', 'error')", {}, "statusColumn.failed", id="failed rows come back for ever"
    ),
    pytest.param(
        "status not in ('queued', 'error') and true",
        {},
        "statusColumn.succeeded",
        id="succeeded is not left out",
    ),
    pytest.param(
        "status in ('new', 'stopped')",
        {"canceled": "stopped"},
        "statusColumn.canceled",
        id="canceled rows come back",
    ),
    pytest.param("status is not null", {}, "statusColumn.claimed", id="any status at all"),
    pytest.param("not (status = 'new')", {}, "statusColumn.claimed", id="not new"),
    pytest.param("processed_at is null", {}, "add a condition on status", id="another column"),
    pytest.param("true", {}, "add a condition on status", id="every row"),
    pytest.param(
        "not status",
        {"claimed": "false", "succeeded": "true", "failed": "t"},
        "statusColumn.claimed",
        id="a boolean",
    ),
]


@pytest.mark.parametrize(("pending", "values", "words"), ENDLESS)
def test_a_source_whose_rows_would_be_taken_for_ever_is_refused(
    pending: str, values: dict[str, str], words: str
) -> None:
    status = RowSource.parse(row_source(statusColumn={**STATUS_COLUMN, **values})).spec.status_column
    assert status is not None
    with pytest.raises(InvalidSpec) as refused:
        check_status_values(pending, status)
    assert words in refused.value.why
    assert refused.value.reason == "PendingStaysTrue"


@pytest.mark.parametrize(
    "pending",
    [
        "status = 'new'",
        "status in ('new', 'again')",
        "status is null",
        "status is null or status = 'new'",
        "status = 'new' and due_at < now()",
        "lower(status) = 'new'",
        "status not in ('queued', 'done', 'error')",
        "coalesce(status, 'new') = 'new'",
        "case when status = 'new' then true else false end",
        "status = 'new' or (amount > 5 and status = 'again')",
        "status::text = 'new'",
        "status <> 'queued' and status <> 'done' and status <> 'error'",
        "status = 'queued' and amount > 5",
    ],
)
def test_a_source_that_may_end_is_not_refused(pending: str) -> None:
    """Where it depends on the rest of the row, the user is believed."""
    status = RowSource.parse(row_source(statusColumn=STATUS_COLUMN)).spec.status_column
    assert status is not None
    check_status_values(pending, status)
