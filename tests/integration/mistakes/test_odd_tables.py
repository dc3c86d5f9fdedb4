"""Tables that look wrong and are not: odd names, odd types, views, partitions."""

import pytest

from tests.integration.mistakes.stage import Stage
from tests.services.manifests import STATUS_COLUMN

pytestmark = pytest.mark.integration


def test_reserved_words_quotes_percent_signs_and_braces_in_names(stage: Stage) -> None:
    stage.sql('create schema "50 % off"')
    stage.sql('grant usage on schema "50 % off" to keeper')
    stage.sql(
        """create table "50 % off"."sel""ect's {0} %s"("order" int primary key, "Wert in %" int default 7,
             "it's {x}" text default 'new', "user" text,
             "from" text default 'a')"""
    )
    stage.sql("""grant select, update on "50 % off"."sel""ect's {0} %s" to keeper""")
    stage.sql("""insert into "50 % off"."sel""ect's {0} %s"("order") values (1), (2)""")
    stage.create(
        "odd_names",
        table='"50 % off"."sel""ect\'s {0} %s"',
        key="order",
        pending="\"it's {x}\" = 'new' and \"from\" not like '%z'",
        orderBy=["Wert in % desc", "user"],
        columns=["order", "Wert in %", "it's {x}"],
        statusColumn={**STATUS_COLUMN, "name": "it's {x}", "errorColumn": "user"},
        fairnessKey="from",
        limits=[{"name": "each", "key": "Wert in %", "concurrency": 5}],
    )
    stage.flows("odd_names")
    assert stage.arguments("odd_names") == [
        {"order": number, "Wert in %": 7, "it's {x}": "new"} for number in (1, 2)
    ]
    table, column = """"50 %% off"."sel""ect's {0} %%s\"""", '"it\'s {x}"'
    stage.written(table, column=column)
    stage.well("odd_names")


def test_a_column_with_a_double_quote_is_refused_by_the_api_server_with_what_to_write(stage: Stage) -> None:
    path = f"/apis/rowlock.dev/v1alpha1/namespaces/{stage.room.namespace}/rowsources"
    manifest = {**stage.source("quoted", columns=['"id"']), "metadata": {"name": "quoted"}}
    status, answer = stage.room.plane.request("POST", path, manifest)
    assert status == 422
    assert "exactly as the database shows it, without quotes" in answer["message"]


ODD: dict[str, tuple[str, str, object]] = {
    "bytes": ("bytea", r"'\x00ff'", r"\x00ff"),
    "json": ("json", """'{"a": [1, null]}'""", {"a": [1, None]}),
    "jsonb": ("jsonb", "'[]'", []),
    "nan": ("numeric", "'NaN'", "NaN"),
    "long_number": ("numeric", "12345678901234567890.123", 12345678901234567890.123),
    "not_finite": ("float8", "'-Infinity'", "-Infinity"),
    "forever": ("timestamptz", "'infinity'", "infinity"),
    "day": ("date", "'2026-02-28'", "2026-02-28"),
    "long_ago": ("date", "'0044-03-15 BC'", "0044-03-15 BC"),
    "span": ("int4range", "'[1,5)'", "[1,5)"),
    "spans": ("datemultirange", "'{}'", "{}"),
    "mood": ("mood", "'so so'", "so so"),
    "numbers": ("int[]", "'{{1,2},{3,null}}'", [[1, 2], [3, None]]),
    "words": ("text[]", "array['a,b', null]", ["a,b", None]),
    "domain": ("positive", "3", 3),
    "pair": ("pair", "row(1, 'x')", {"a": 1, "b": "x"}),
    "interval": ("interval", "'1 day 2 hours'", "1 day 02:00:00"),
    "address": ("inet", "'10.0.0.1/8'", "10.0.0.1/8"),
    "id_": ("uuid", "'00000000-0000-0000-0000-00000000000a'", "00000000-0000-0000-0000-00000000000a"),
    "bits": ("bit(3)", "b'101'", "101"),
    "point": ("point", "'(1,2)'", "(1,2)"),
    "yes": ("bool", "true", True),
    "nothing": ("text", "null", None),
    "unicode": ("text", "'\U0001f600 \u00e9'", "\U0001f600 \u00e9"),
    "padded": ("char(5)", "'ab'", "ab   "),
    "search": ("tsvector", "'a b'", "'a' 'b'"),
    "money": ("money", "1.5", "$1.50"),
}


def test_every_type_of_column_becomes_an_argument(stage: Stage) -> None:
    stage.sql("create type mood as enum ('so so', 'fine')")
    stage.sql("create domain positive as int check (value > 0)")
    stage.sql("create type pair as (a int, b text)")
    columns = ", ".join(f"{name} {type_}" for name, (type_, _, _) in ODD.items())
    stage.sql(
        f"create table odd_types(id int primary key, {columns}, status text not null default 'new', error"
        " text)"
    )
    values = ", ".join(value for _, value, _ in ODD.values())
    stage.sql(f"insert into odd_types(id, {', '.join(ODD)}) values (1, {values})")
    stage.create("odd_types", columns=list(ODD))
    stage.flows("odd_types", 1)
    assert stage.arguments("odd_types") == [{name: expected for name, (_, _, expected) in ODD.items()}]
    stage.written("odd_types")


@pytest.mark.parametrize(
    ("type_", "first"),
    [
        ("smallint", "1"),
        ("uuid", "gen_random_uuid()"),
        ("text", "'a''b % \U0001f600'"),
        ("char(12)", "'x'"),
        ("varchar(9)", "''"),
        ("numeric", "'NaN'"),
    ],
)
def test_a_key_of_every_supported_type_gets_its_outcome(stage: Stage, type_: str, first: str) -> None:
    name = f"key_{type_.split('(')[0]}"
    stage.sql(f"create table {name}(id {type_} primary key, status text not null default 'new', error text)")
    stage.sql(f"insert into {name}(id) values ({first})")
    stage.create(name)
    stage.flows(name, 1)
    stage.written(name)


def test_rows_without_a_key_are_left_alone_told_and_taken_once_they_have_one(stage: Stage) -> None:
    stage.sql("create table no_key(id int unique, status text not null default 'new', error text)")
    stage.sql("insert into no_key(id) values (1), (null), (null), (2)")
    stage.create("no_key")
    stage.flows("no_key")
    stage.told("no_key", "RowsLeftOut", "2 without a value in id", "give them one", type_="Degraded")
    assert stage.sql("select status from no_key where id is null") == [("new",), ("new",)]
    assert stage.room.get("RowSource", "no-key")["status"]["pending"] == 2
    stage.sql("update no_key set id = 3 where ctid = (select min(ctid) from no_key where id is null)")
    stage.sql("delete from no_key where id is null")
    stage.flows("no_key", 3)
    stage.well("no_key")


def test_a_value_of_100_megabytes_is_left_alone_and_told_and_holds_up_no_other(stage: Stage) -> None:
    stage.table(
        "huge",
        rows=5,
        ddl=(
            "create table {}(id int primary key, body text default 'x', status text not null default 'new',"
            " error text)"
        ),
    )
    stage.sql("update huge set body = repeat('rowlock ', 13107200) where id = 3")
    stage.create("huge", columns=["id", "body"])
    stage.settled("huge", {number: "new" if number == 3 else "done" for number in range(1, 6)})
    stage.told(
        "huge",
        "RowsLeftOut",
        "1 with more than 1024 KiB in one of body",
        "let the task read it",
        type_="Degraded",
    )
    stage.room.change("RowSource", "huge", columns=["id"])
    stage.settled("huge", dict.fromkeys(range(1, 6), "done"))
    stage.well("huge")


def test_a_value_of_nearly_a_megabyte_is_taken(stage: Stage) -> None:
    stage.table(
        "large",
        rows=0,
        ddl="create table {}(id int primary key, body text, status text not null default 'new', error text)",
    )
    stage.sql("insert into large(id, body) values (1, repeat('x', 1048576))")
    stage.create("large", columns=["body"])
    stage.flows("large", 1)
    assert len(stage.arguments("large")[0]["body"]) == 1048576


def test_an_error_longer_than_its_column_is_cut(stage: Stage) -> None:
    stage.table(
        "short_error",
        rows=1,
        ddl="create table {}(id int primary key, status text not null default 'new', error varchar(9))",
    )
    stage.create("short_error", task="fails", columns=None, args={"permanent": "id"})
    stage.settled("short_error", {1: "error"})
    assert stage.sql("select error from short_error") == [("no such c",)]


def test_a_partitioned_table_whose_key_is_unique(stage: Stage) -> None:
    stage.sql(
        "create table parts(id int primary key, status text not null default 'new', error text) partition by"
        " hash (id)"
    )
    for number in range(3):
        stage.sql(
            f"create table parts_{number} partition of parts for values with (modulus 3, remainder {number})"
        )
    stage.sql("insert into parts(id) select generate_series(1, 30)")
    stage.create("parts")
    stage.settled("parts", dict.fromkeys(range(1, 31), "done"))
    stage.well("parts")


def test_a_view_that_can_be_updated(stage: Stage) -> None:
    stage.table("beneath", rows=4)
    stage.sql("create view open_ones as select id, status, error from beneath where id < 3")
    stage.create("open_ones")
    stage.settled("beneath", {1: "done", 2: "done", 3: "new", 4: "new"})


def test_a_view_with_a_trigger_instead_of_an_update(stage: Stage) -> None:
    stage.table("left_half", rows=2)
    stage.sql("create table right_half(id int primary key, price int)")
    stage.sql("insert into right_half select i, 10 * i from generate_series(1, 2) i")
    stage.sql("grant select, update on right_half to keeper")
    stage.sql(
        "create view joined as select l.id, r.price, l.status, l.error from left_half l join right_half r"
        " using (id)"
    )
    stage.sql(
        "create function set_left() returns trigger language plpgsql as $$ begin"
        " update left_half set status = new.status, error = new.error where id = new.id; return new; end $$"
    )
    stage.sql("create trigger writes instead of update on joined for each row execute function set_left()")
    stage.create("joined", columns=["id", "price"])
    stage.settled("left_half", {1: "done", 2: "done"})
    assert stage.arguments("joined") == [{"id": 1, "price": 10}, {"id": 2, "price": 20}]


def test_a_view_that_can_only_be_read_needs_no_status_column(stage: Stage) -> None:
    stage.sql("create table visits(person text, day date)")
    stage.sql("insert into visits select 'p' || i % 3, '2026-01-01'::date + i from generate_series(1, 9) i")
    stage.sql("create view visitors as select person, count(*) as days from visits group by person")
    stage.create("visitors", key="person", pending="days > 2", columns=["person", "days"], statusColumn=None)
    stage.flows("visitors", 3)
    stage.sql("insert into visits select 'p9', '2026-02-01'::date + i from generate_series(1, 3) i")
    stage.flows("visitors", 4)
    stage.well("visitors")


def test_a_table_that_may_only_be_read_needs_no_status_column(stage: Stage) -> None:
    stage.table("read_only")
    stage.sql("revoke update on read_only from keeper")
    stage.create("read_only", statusColumn=None)
    stage.flows("read_only")
    stage.well("read_only")


def test_a_view_whose_rows_cannot_be_locked_is_told_what_else_to_do(stage: Stage) -> None:
    stage.table("twice", rows=2)
    stage.sql("create view once as select distinct id, status, error from twice")
    stage.sql("create function set_once() returns trigger language plpgsql as $$ begin return new; end $$")
    stage.sql("create trigger writes instead of update on once for each row execute function set_once()")
    stage.create("once")
    stage.told("once", "ViewNotLockable", "DISTINCT", "leave out spec.statusColumn")
    stage.room.change("RowSource", "once", statusColumn=None, again={"never": True})
    stage.flows("once")
    stage.well("once")
