"""How the ledger comes into a database: once, whole, by one at a time, and never backwards."""

import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from rowlock_ledger.install import LEDGER, RELEASE, Schema, install
from tests.services.ledger_schema import LATER, LATER_MIGRATION, later_ledger
from tests.services.postgres import PostgresServer, connect
from tests.services.process import wait_until

pytestmark = pytest.mark.integration

PIN = "enable_seqscan=off"


def installed(url: str, schema: Schema = LEDGER) -> list[str]:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            return install(cursor, schema)
    finally:
        connection.close()


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with connect(url) as cur:
        cur.execute(statement)
        return list(cur.fetchall())


IN_LEDGER = "'rowlock'::regnamespace"
CATALOG = f"""
select 'relation', c.relname, c.relkind::text, coalesce(c.reloptions::text, ''), c.relreplident::text,
       coalesce(c.relacl::text, '') from pg_class c where c.relnamespace = {IN_LEDGER}
union all
select 'column', c.relname, a.attnum || ' ' || a.attname, format_type(a.atttypid, a.atttypmod),
       a.attnotnull::text || a.attidentity::text, coalesce(pg_get_expr(d.adbin, d.adrelid), '')
  from pg_attribute a join pg_class c on c.oid = a.attrelid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where c.relnamespace = {IN_LEDGER} and a.attnum > 0 and not a.attisdropped
union all
select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
  from pg_constraint where connamespace = {IN_LEDGER}
union all
select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), '', '', ''
  from pg_index i join pg_class c on c.oid = i.indrelid where c.relnamespace = {IN_LEDGER}
union all
select 'view', oid::regclass::text, pg_get_viewdef(oid), '', '', ''
  from pg_class where relkind = 'v' and relnamespace = {IN_LEDGER}
union all
select 'function', oid::regprocedure::text, pg_get_functiondef(oid), coalesce(proacl::text, ''), '', ''
  from pg_proc where pronamespace = {IN_LEDGER}
 order by 1, 2, 3, 4
"""


def dumped(url: str) -> list[tuple[Any, ...]]:
    """All there is in the ledger's schema, as the catalog of any version of the server tells it."""
    found = rows(url, CATALOG)
    assert {each[0] for each in found} == {"relation", "column", "constraint", "index", "view", "function"}
    return found


def functions(url: str) -> list[tuple[Any, ...]]:
    """(name, settings, whether it runs as its owner, language) of each."""
    return rows(
        url,
        "select p.oid::regprocedure::text, coalesce(p.proconfig, '{}'), p.prosecdef, l.lanname from pg_proc p"
        " join pg_language l on l.oid = p.prolang where p.pronamespace = 'rowlock'::regnamespace order by 1",
    )


@pytest.fixture
def empty(postgres: PostgresServer) -> str:
    return postgres.new_database(ledger=False)


def test_a_second_time_changes_nothing(empty: str) -> None:
    assert installed(empty) == [LEDGER.build]
    before = dumped(empty)
    assert installed(empty) == []
    assert dumped(empty) == before
    with connect(empty) as cur:
        cur.execute("update rowlock.migration set version = '0.0.9+000000000000'")
    assert installed(empty) == [LEDGER.build], "the functions of an earlier build are replaced"
    assert dumped(empty) == before


def test_who_fails_in_the_middle_leaves_what_was_there(
    empty: str, tmp_path: Path, postgres: PostgresServer
) -> None:
    broken = later_ledger(tmp_path, "alter table rowlock.queue add column later int; select 1 / 0")
    installed(empty)
    before = dumped(empty)
    with pytest.raises(psycopg2.errors.DivisionByZero):
        installed(empty, broken)
    assert dumped(empty) == before
    bare = postgres.new_database(ledger=False)
    (tmp_path / "schema_end.sql").write_text("select 1 / 0")
    with pytest.raises(psycopg2.errors.DivisionByZero):
        installed(bare, broken)
    assert rows(bare, "select to_regnamespace('rowlock') is null") == [(True,)]


def test_several_at_once_make_it_once_and_who_waits_for_one_that_dies_goes_on(empty: str) -> None:
    first = psycopg2.connect(empty)
    with first.cursor() as cursor:
        install(cursor, LEDGER)
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(installed(empty))) for _ in range(3)]
    for thread in threads:
        thread.start()
    waiting = "select 1 from pg_locks where locktype = 'advisory' and not granted"
    wait_until(lambda: len(rows(empty, waiting)) == 3, "they wait for the first", 20)
    first.close()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [[], [], [LEDGER.build]]


def test_a_database_that_was_brought_here_is_like_one_that_was_made_now(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """As CONTRIBUTING asks for it: the change is a migration, and stands in what makes new tables."""
    later = later_ledger(tmp_path, "alter table rowlock.lost add column later int not null default 0")
    schema = tmp_path / "schema.sql"
    told = "  container text,\n  primary key (id, attempt)\n);"
    assert told in schema.read_text()
    schema.write_text(
        schema.read_text().replace(
            told, "  container text,\n  later int not null default 0,\n  primary key (id, attempt)\n);"
        )
    )
    old, new = postgres.new_database(ledger=False), postgres.new_database(ledger=False)
    installed(old)
    assert installed(old, later) == [LATER_MIGRATION, later.build]
    assert installed(new, later) == [LATER_MIGRATION, later.build], "noted, not run"
    assert dumped(old) == dumped(new)
    forgotten = later_ledger(tmp_path / "b", "alter table rowlock.lost add column later int")
    other_old, other_new = postgres.new_database(), postgres.new_database(ledger=False)
    installed(other_old, forgotten)
    installed(other_new, forgotten)
    assert dumped(other_old) != dumped(other_new), "a change that schema.sql lacks would be seen"


def test_the_functions_of_a_later_release_are_left_alone(empty: str, tmp_path: Path) -> None:
    later = later_ledger(tmp_path, "select 1")
    hint = tmp_path / "functions/hint.sql"
    hint.write_text(hint.read_text().replace("perform pg_notify('rowlock', '');", "null;"))
    installed(empty)
    installed(empty, later)
    body = "select prosrc like '%pg_notify%' from pg_proc where oid = 'rowlock.hint()'::regprocedure"
    assert rows(empty, body) == [(False,)]
    assert installed(empty) == [], "the operator of before leads again"
    assert rows(empty, body) == [(False,)]
    assert LEDGER.unknown((LATER_MIGRATION, later.build)) == [LATER_MIGRATION, later.build]


def test_between_builds_of_one_release_the_last_to_come_counts(empty: str, tmp_path: Path) -> None:
    other = replace(later_ledger(tmp_path, "select 1"), release=RELEASE)
    (tmp_path / f"migrations/{LATER_MIGRATION}.sql").unlink()
    (tmp_path / "functions/hint.sql").write_text(
        (tmp_path / "functions/hint.sql").read_text().replace("perform pg_notify('rowlock', '');", "null;")
    )
    assert (installed(empty), installed(empty, other)) == ([LEDGER.build], [other.build])
    assert (installed(empty), installed(empty)) == ([LEDGER.build], [])
    assert rows(empty, "select version from rowlock.migration") == [(LEDGER.build,)]


def test_every_body_is_one_that_the_server_takes(database: str) -> None:
    """They are installed unchecked, because they call each other."""
    connection = psycopg2.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute("set local check_function_bodies = on")
        for _, text in LEDGER.files("functions"):
            cursor.execute(text)
        with pytest.raises(psycopg2.errors.SyntaxError):
            cursor.execute("create function rowlock.typo() returns int language plpgsql as $$ begn end $$")
    connection.close()


def test_each_file_is_named_like_the_one_function_in_it(database: str) -> None:
    names = []
    for name, text in LEDGER.files("functions"):
        assert re.findall(r"^create or replace function rowlock\.(\w+)\(", text, re.MULTILINE) == [name]
        assert f"revoke all on function rowlock.{name} from public;" in text, name
        names.append(name)
    there = [name.partition("(")[0].removeprefix("rowlock.").strip('"') for name, *_ in functions(database)]
    assert sorted(names) == sorted(there)


def test_who_runs_as_the_owner_has_a_search_path_and_no_plan_hangs_on_statistics(database: str) -> None:
    """A queue's statistics are wrong the moment after they were taken. What is not pinned looks one name up,
    makes or drops partitions, or hands on to what is.
    """
    unpinned = set()
    for name, settings, as_owner, language in functions(database):
        path = [each for each in settings if each.startswith("search_path=")]
        if as_owner:
            assert path == ["search_path=rowlock, pg_catalog, pg_temp"], name
        if language == "plpgsql" and "plan_cache_mode=force_generic_plan" not in settings:
            unpinned.add(name.partition("(")[0].removeprefix("rowlock."))
        if PIN in settings:
            assert "jit=off" in settings, f"{name}: without it the disabled nodes' cost would start the JIT"
    assert unpinned == UNPINNED


UNPINNED = {
    "check_text",
    "expect_queue",
    "fold_carefully",
    "forget_v1",
    "hint",
    "hint_v1",
    "nearest_end",
    "partitions_v1",
    "queue_id",
    "read_row",
    "refuse_queue",
    "register_source",
    "retain_v1",
    "settle_carefully",
    "source_id",
    "wake_lanes_carefully",
    "with_others",
}


def test_no_function_may_be_called_by_everybody(database: str) -> None:
    open_to_all = (
        "select p.oid::regprocedure from pg_proc p, aclexplode(coalesce(p.proacl,"
        " acldefault('f', p.proowner))) a where p.pronamespace = 'rowlock'::regnamespace and a.grantee = 0"
    )
    assert rows(database, open_to_all) == []
    with connect(database) as cur:
        cur.execute("create function rowlock.forgotten() returns int language sql as 'select 1'")
    assert rows(database, open_to_all) == [("rowlock.forgotten()",)], "one would be seen"


def test_a_release_that_is_a_later_one_is_told_from_the_digits(tmp_path: Path) -> None:
    later = later_ledger(tmp_path, "select 1")
    assert later.build.startswith(f"{LATER}+")
    assert LEDGER.missing([later.build]) == []
    assert LEDGER.missing(["0.0.10+000000000000"]) == [LEDGER.build]
    assert later.missing([LEDGER.build]) == [LATER_MIGRATION, later.build]
