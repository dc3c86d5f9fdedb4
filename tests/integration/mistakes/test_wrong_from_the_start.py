"""What is wrong when a RowSource is made: told with its remedy, and once that is done the rows flow without a
restart.

All mistakes are made at once, and all are mended at once: the operator looks again at what is in trouble
every five seconds.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.mistakes.stage import ROLE, TABLE, Stage
from tests.services.manifests import STATUS_COLUMN

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Mistake:
    """`made` before the RowSource is; `mended` is SQL, or else a change of the spec."""

    reason: str
    words: tuple[str, ...]
    made: tuple[str, ...] = ()
    spec: dict[str, Any] = field(default_factory=dict)
    mended: tuple[str, ...] = ()
    changed: dict[str, Any] = field(default_factory=dict)


NEW = {"pending": "status = 'new'"}
ROWS = "insert into {t}(id) values (1), (2)"
PLAIN = (TABLE.replace("{}", "{t}"), ROWS)


def wrong_pending(condition: str, reason: str, *words: str) -> Mistake:
    return Mistake(reason, words, PLAIN, {"pending": condition}, changed=NEW)


def wrong_table(reason: str, *words: str, made: str, mended: tuple[str, ...], **spec: Any) -> Mistake:
    return Mistake(
        reason,
        words,
        (made, ROWS) if "(id int" in made and "partition by" not in made else (made,),
        spec,
        mended=mended,
    )


MISTAKES: dict[str, Mistake] = {
    "subquery": wrong_pending(
        "status = 'new' and id in (select 1)", "InvalidSpec", "spec.pending: it holds a query", "name a view"
    ),
    "function": wrong_pending(
        "status = 'new' and pg_sleep(9) is null",
        "InvalidSpec",
        "function pg_sleep is not allowed",
        "use only abs",
    ),
    "aggregate": wrong_pending("status = 'new' and max(id) > 1", "InvalidSpec", "spec.pending", "max"),
    "other_rows": wrong_pending("status = 'new' and row_number() over () < 9", "InvalidSpec", "spec.pending"),
    "parameter": wrong_pending(
        "status = %s", "InvalidSpec", "it holds a parameter (%s)", "write the value itself"
    ),
    "no_condition": wrong_pending(
        "status = 'new' and amount", "PendingRefused", "must be type boolean", "Correct the expression"
    ),
    "other_type": wrong_pending(
        "status = 'new' and id = 'x'", "PendingRefused", "bigint", "Correct the expression"
    ),
    "no_operator": wrong_pending(
        "status = 'new' and amount = status",
        "PendingRefused",
        "operator does not exist",
        "Correct the expression",
    ),
    "never_ends": wrong_pending("id > 0", "PendingStaysTrue", "add a condition on status"),
    "pending_column": Mistake(
        "ColumnMissing",
        ("ripe", "spec.pending", "its columns are amount, error, id, status"),
        PLAIN,
        {"pending": "status = 'new' and ripe"},
        ("alter table {t} add column ripe bool not null default true",),
    ),
    "no_table": Mistake("TableMissing", ("does not exist in database", "create it"), mended=PLAIN),
    "no_schema": Mistake(
        "TableMissing",
        ("sales", "create it"),
        spec={"table": "sales.no_schema"},
        mended=(
            "create schema sales",
            f"grant usage on schema sales to {ROLE}",
            TABLE.replace("{}", "sales.{t}"),
            "insert into sales.{t}(id) values (1), (2)",
        ),
    ),
    "no_column": Mistake(
        "ColumnMissing",
        ('no column "colour"', "spec.columns or spec.args", "its columns are"),
        PLAIN,
        {"columns": ["id", "colour"]},
        ("alter table {t} add column colour text",),
    ),
    "no_status_column": Mistake(
        "ColumnMissing",
        ('no column "state"', "spec.statusColumn.name"),
        PLAIN,
        {"statusColumn": {**STATUS_COLUMN, "name": "state"}, "pending": "state = 'new'"},
        ("alter table {t} add column state text default 'new'",),
    ),
    "key_type": wrong_table(
        "KeyTypeNotSupported",
        "of type date",
        "bigint, uuid, text",
        made="create table {t}(day date primary key, status text default 'new', error text)",
        mended=(
            "insert into {t}(day) values ('2026-01-01'), ('2026-01-02')",
            "alter table {t} alter column day type text",
        ),
        key="day",
        columns=["day"],
    ),
    "key_not_unique": wrong_table(
        "KeyNotUnique",
        "column id alone",
        "no unique index on just it",
        "generated always as identity",
        made="create table {t}(id int, status text default 'new', error text)",
        mended=("create unique index on {t}(id)",),
    ),
    "composite": wrong_table(
        "KeyNotUnique",
        "only on (id, line) together",
        "a composite key cannot be",
        made=(
            "create table {t}(id int, line int default 1, status text default 'new', error text, primary key"
            " (id, line))"
        ),
        mended=("alter table {t} add unique (id)",),
    ),
    "two_keys": wrong_table(
        "ColumnMissing",
        'no column "id, line"',
        "spec.key",
        "a composite key cannot",
        made=(
            "create table {t}(id int, line int default 1, status text default 'new', error text, primary key"
            " (id, line))"
        ),
        mended=(
            (
                "alter table {t} add column \"id, line\" text generated always as (id::text || ',' ||"
                " line::text) stored unique"
            ),
        ),
        key="id, line",
    ),
    "partitioned": wrong_table(
        "KeyNotUnique",
        "only on (id, day) together",
        made=(
            "create table {t}(id int, day date default '2026-01-01', status text default 'new', error text,"
            " primary key (id, day)) partition by range (day)"
        ),
        mended=(
            "create table {t}_2026 partition of {t} for values from ('2026-01-01') to ('2027-01-01')",
            ROWS,
            "alter table {t} rename to {t}_all",
            "create view {t} as select * from {t}_all",
        ),
    ),
    "materialized": wrong_table(
        "NotATable",
        "is a materialized view",
        "name a table or a view",
        made="create materialized view {t} as select 1 as id, 'new' as status, null as error",
        mended=("drop materialized view {t}", *PLAIN),
    ),
    "not_readable": Mistake(
        "NotAllowed",
        ("may not SELECT", f"GRANT SELECT, UPDATE ON public.not_readable TO {ROLE}"),
        (*PLAIN, f"revoke all on {{t}} from {ROLE}"),
        mended=(f"grant select, update on {{t}} to {ROLE}",),
    ),
    "not_writable": Mistake(
        "NotAllowed",
        ("may not UPDATE its column status", f"GRANT SELECT, UPDATE ON public.not_writable TO {ROLE}"),
        (*PLAIN, f"revoke update on {{t}} from {ROLE}"),
        mended=(f"grant update (status, error) on {{t}} to {ROLE}",),
    ),
    "closed_schema": Mistake(
        "NotAllowed",
        ("may not use the schema", f"GRANT USAGE ON SCHEMA closed TO {ROLE}"),
        (
            "create schema closed",
            TABLE.replace("{}", "closed.{t}"),
            "insert into closed.{t}(id) values (1), (2)",
        ),
        {"table": "closed.closed_schema"},
        (f"grant usage on schema closed to {ROLE}",),
    ),
    "read_only_view": wrong_table(
        "ViewReadOnly",
        "status cannot be written",
        "INSTEAD OF UPDATE trigger",
        "leave out spec.statusColumn",
        made="create view {t} as select distinct 1 as id, 'new'::text as status, null::text as error",
        mended=(
            "drop view {t}",
            "create table {t}_beneath(id int primary key, status text default 'new', error text)",
            "create view {t} as select * from {t}_beneath",
            ROWS,
        ),
    ),
    "status_check": wrong_table(
        "StatusRefused",
        "column status refuses 'queued'",
        "'done'::text",
        "Correct spec.statusColumn or the column",
        made=(
            "create table {t}(id int primary key, status text default 'new' check (status in ('new', 'done',"
            " 'error')), error text)"
        ),
        mended=("alter table {t} drop constraint {t}_status_check",),
    ),
    "status_enum": wrong_table(
        "StatusRefused",
        "refuses 'queued'",
        "invalid input value for enum",
        made="create table {t}(id int primary key, status stage default 'new', error text)",
        mended=("alter type stage add value 'queued'",),
    ),
    "status_short": wrong_table(
        "StatusRefused",
        "refuses 'queued'",
        "it would be 'que'",
        made="create table {t}(id int primary key, status varchar(3) default 'new', error text)",
        mended=("alter table {t} alter column status type varchar(10)",),
    ),
    "error_number": wrong_table(
        "StatusRefused",
        "column error refuses",
        "an error is text",
        made="create table {t}(id int primary key, status text default 'new', error int)",
        mended=("alter table {t} alter column error type text",),
    ),
}


@pytest.fixture(scope="module")
def told(shop: Stage) -> dict[str, str]:
    """Every mistake is made."""
    shop.sql("create type stage as enum ('new', 'done', 'error')")
    for name, mistake in MISTAKES.items():
        for statement in mistake.made:
            shop.sql(statement.format(t=name))
        shop.create(name, **mistake.spec)
    return {}


@pytest.fixture(scope="module")
def mended(shop: Stage, told: dict[str, str]) -> None:
    """Every mistake was told, and is mended."""
    for name, mistake in MISTAKES.items():
        shop.told(name, mistake.reason)
        for statement in mistake.mended:
            shop.sql(statement.format(t=name))
        if mistake.changed:
            shop.room.change("RowSource", name.replace("_", "-"), **mistake.changed)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_remedy(stage: Stage, told: dict[str, str], name: str) -> None:
    message = stage.told(name, MISTAKES[name].reason, *MISTAKES[name].words)
    assert len(message) > 40
    assert stage.succeeded(name) == 0, "nothing is taken by mistake"


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("name", MISTAKES)
def test_once_it_is_mended_the_rows_flow_without_a_restart(stage: Stage, name: str) -> None:
    stage.flows(name)
    stage.well(name)


@pytest.mark.parametrize(
    ("pending", "words"),
    [
        ("status = 'new'; drop table orders", "without ';'"),
        ("status = 'new' -- mine", "without comments"),
        ("status = /* x */ 'new'", "without comments"),
    ],
)
def test_two_statements_and_comments_are_refused_by_the_api_server(
    stage: Stage, pending: str, words: str
) -> None:
    manifest = stage.source("refused", pending=pending)
    path = f"/apis/rowlock.dev/v1alpha1/namespaces/{stage.room.namespace}/rowsources"
    status, answer = stage.room.plane.request("POST", path, {**manifest, "metadata": {"name": "refused"}})
    assert status == 422
    assert words in answer["message"]


@pytest.mark.usefixtures("mended")
def test_the_log_and_the_events_of_all_these_mistakes_are_few(stage: Stage) -> None:
    lines = [line for line in stage.log_lines() if line["level"] in ("warning", "error")]
    assert len(lines) < 2 * len(MISTAKES), [line.get("why") for line in lines]
    events = stage.room.must("GET", f"/api/v1/namespaces/{stage.room.namespace}/events")["items"]
    said = [(event["involvedObject"]["name"], event["reason"]) for event in events]
    assert len(said) == len(set(said)), "the same about the same object is one Event with a count"
    assert max(int(event["count"]) for event in events) <= 3, "and is not said again and again"
