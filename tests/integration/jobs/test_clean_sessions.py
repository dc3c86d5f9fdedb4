"""No run meets another in its database session, and nothing but the finish ends run.transaction()."""

import contextlib
import gc
import io
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import pytest
from psycopg2.sql import SQL

from rowlock_jobs.fence.connection import FenceConnection
from rowlock_jobs.fence.ledger import Ledger
from rowlock_jobs.fence.pool import BorrowedConnection, ConnectionPool
from rowlock_jobs.task import Permanent, Run
from tests.integration.jobs.performing import Performing
from tests.services.pgbouncer import PgBouncer
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(params=["direct", "pgbouncer"])
def runs(database: str, pgbouncer: PgBouncer, request: pytest.FixtureRequest) -> Iterator[Performing]:
    made = Performing(database, pgbouncer.url(database) if request.param == "pgbouncer" else "")
    yield made
    made.close()


@pytest.fixture
def direct(database: str) -> Iterator[Performing]:
    made = Performing(database)
    yield made
    made.close()


# What a session can hold, and how somebody else would see it.
LEAVES = {
    "setting": ("set work_mem = '77MB'", "select current_setting('work_mem')"),
    "own setting": (
        "select set_config('app.tenant', 'customer A', false)",
        "select coalesce(current_setting('app.tenant', true), '')",
    ),
    "search_path": ("set search_path = elsewhere", "select current_setting('search_path')"),
    "read only": (
        "set session characteristics as transaction read only",
        "select current_setting('default_transaction_read_only')",
    ),
    "isolation": (
        "set session characteristics as transaction isolation level serializable",
        "select current_setting('default_transaction_isolation')",
    ),
    "time zone": ("set timezone = 'Asia/Kathmandu'", "select current_setting('timezone')"),
    "statement timeout": ("set statement_timeout = '77s'", "select current_setting('statement_timeout')"),
    "encoding": ("set client_encoding = 'LATIN1'", "select current_setting('client_encoding')"),
    "temporary table": (
        "create temp table secrets as select 'of customer A' as s",
        "select to_regclass('pg_temp.secrets')::text",
    ),
    "temporary function": (
        "create function pg_temp.f() returns int language sql as 'select 1'",
        "select to_regprocedure('pg_temp.f()')::text",
    ),
    "advisory lock": (
        "select pg_advisory_lock_shared(77)",
        "select count(*) from pg_locks where locktype = 'advisory'",
    ),
    "listening": ("listen news", "select count(*) from pg_listening_channels()"),
    "cursor": ("declare c cursor with hold for select 1", "select count(*) from pg_cursors where name = 'c'"),
    "sequence": ("select nextval('public.s')", "select lastval()"),
    "role": ("set role pg_monitor", "select current_user"),
    "login": ("set session authorization pg_monitor", "select session_user"),
}


def looks(run: Run) -> dict[str, list[Any]]:
    """What both kinds of sessions show."""
    found: dict[str, list[Any]] = {}
    with run.transaction() as cursor, run.connection() as connection, connection.cursor() as other:
        for what, (_, look) in LEAVES.items():
            for each in (cursor, other):
                each.execute("savepoint s")
                try:
                    each.execute(look)
                    found.setdefault(what, []).append(each.fetchone()[0])
                except psycopg2.Error as error:
                    found.setdefault(what, []).append(error.pgcode)
                    each.execute("rollback to s")
    return found


@pytest.mark.parametrize("ends", ["succeeded", "dead"])
def test_a_session_is_clean_whatever_the_run_before_left_in_it(runs: Performing, ends: str) -> None:
    def leaves(run: Run) -> None:
        with run.transaction() as cursor, run.connection() as connection, connection.cursor() as other:
            for statement, _ in LEAVES.values():
                cursor.execute(statement)
                other.execute(statement)
        if ends == "dead":
            raise Permanent("after it left something")

    runs.sql("create schema elsewhere")
    runs.sql("create sequence s")
    before = runs.run(looks).result
    assert len(before) == len(LEAVES)
    left = runs.run(leaves)
    assert left.state == ends, left
    assert runs.run(looks).result == before


def test_without_the_reset_the_next_customer_sees_the_one_before(
    direct: Performing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative twin."""

    def leaves(run: Run) -> None:
        with run.transaction() as cursor:
            cursor.execute(LEAVES["own setting"][0])

    monkeypatch.setattr(BorrowedConnection, "clean", lambda _self: True)
    direct.run(leaves)
    assert direct.run(looks).result["own setting"] == ["customer A", ""]


def test_what_psycopg2_keeps_of_a_connection_is_new_for_each_run(runs: Performing) -> None:
    def changes(run: Run) -> None:
        with run.connection() as connection:
            connection.rollback()
            connection.set_session(isolation_level="SERIALIZABLE", readonly=True)
            connection.cursor_factory = psycopg2.extras.RealDictCursor
            connection.notices = ["of customer A"]
            connection.set_client_encoding("LATIN1")
            psycopg2.extensions.register_type(shout, connection)
            connection.autocommit = True
        with run.transaction() as cursor:
            psycopg2.extensions.register_type(shout, cursor.connection)
            cursor.connection.cursor_factory = psycopg2.extras.RealDictCursor

    def asks(run: Run) -> list[Any]:
        found: list[Any] = []
        with run.connection() as connection, run.transaction() as cursor:
            for each in (connection, cursor.connection):
                with each.cursor() as other:
                    other.execute(
                        "select 'gr\u00fc\u00dfe'::text, current_setting('transaction_read_only'),"
                        " current_setting('transaction_isolation')"
                    )
                    found += [list(other.fetchone()), each.autocommit, list(each.notices), each.encoding]
        return found

    shout = psycopg2.extensions.new_type((25,), "SHOUT", lambda value, _cursor: f"{value}!")
    assert runs.run(changes).state == "succeeded"
    clean = [["gr\u00fc\u00dfe", "off", "read committed"], False, [], "UTF8"]
    assert runs.run(asks).result == clean * 2


def test_a_session_that_somebody_else_left_behind_the_pooler_is_not_met(
    database: str, pgbouncer: PgBouncer
) -> None:
    runs = Performing(database, pgbouncer.url(database))
    runs.sql("create schema elsewhere; create table elsewhere.written(what text)")
    others = [psycopg2.connect(pgbouncer.url(database)) for _ in range(3)]
    for other in others:  # three server sessions, each held by an open transaction until all are spoiled
        other.cursor().execute(
            "set search_path = elsewhere; set role pg_monitor; set default_transaction_read_only = on;create"
            " temp table written(what text); select pg_advisory_lock_shared(77); set statement_timeout = 50"
        )
    for other in others:
        other.commit()
    assert (
        Ledger(FenceConnection(pgbouncer.url(database), "test")).hello(name="fences too", lease_seconds=1) > 0
    )
    assert runs.run(writes).state == "succeeded"
    assert runs.written == ["mine"]
    for other in others:
        other.close()
    runs.close()


def writes(run: Run) -> None:
    with run.transaction() as cursor:
        cursor.execute("insert into written values ('mine')")


# -- only the finish ends run.transaction()
# ----------------------------------------------------------------------------

ENDINGS: dict[str, Callable[[Any], object]] = {
    "commit()": lambda cursor: cursor.connection.commit(),
    "rollback()": lambda cursor: cursor.connection.rollback(),
    "autocommit": lambda cursor: setattr(cursor.connection, "autocommit", True),
    "set_session": lambda cursor: cursor.connection.set_session(autocommit=True),
    "set_isolation_level": lambda cursor: cursor.connection.set_isolation_level(0),
    "set_client_encoding": lambda cursor: cursor.connection.set_client_encoding("LATIN1"),
    "reset()": lambda cursor: cursor.connection.reset(),
    "close()": lambda cursor: cursor.connection.close(),
    "with connection": lambda cursor: cursor.connection.__exit__(None, None, None),
    "tpc_prepare": lambda cursor: cursor.connection.tpc_prepare(),
    "commit": lambda cursor: cursor.execute("commit"),
    "bytes": lambda cursor: cursor.execute(b"/* now */ END"),
    "composed": lambda cursor: cursor.execute(SQL("rollback;") + SQL("begin")),
    "among others": lambda cursor: cursor.execute("select ';'; commit; begin; select 1"),
    "executemany": lambda cursor: cursor.executemany(
        "insert into written values (%s); commit", [("a",), ("b",)]
    ),
    "execute_batch": lambda cursor: psycopg2.extras.execute_batch(
        cursor, "insert into written values (%s); commit", [("a",), ("b",)]
    ),
    "prepare transaction": lambda cursor: cursor.execute("prepare transaction 'x'"),
    "another cursor": lambda cursor: cursor.connection.cursor().execute("commit"),
    "another kind of cursor": (
        lambda cursor: cursor.connection.cursor(cursor_factory=psycopg2.extras.DictCursor).execute("abort")
    ),
    "copy_expert": lambda cursor: cursor.copy_expert("commit; copy written to stdout", io.StringIO()),
    "a value that is no value": lambda cursor: cursor.execute(
        "select 1; %s", (psycopg2.extensions.AsIs("rollback"),)
    ),
    "a procedure": lambda cursor: cursor.execute("call commits()"),
}


def test_nothing_but_the_finish_ends_the_transaction(runs: Performing) -> None:
    def ends(run: Run, ending: Callable[[Any], object], *, swallow: bool) -> None:
        with run.transaction() as cursor:
            cursor.execute("insert into written values ('of a run that failed')")
            if swallow:
                with contextlib.suppress(psycopg2.Error):
                    ending(cursor)
            else:
                ending(cursor)
        raise Permanent("after its write")

    runs.sql("create procedure commits() language plpgsql as $$ begin commit; end $$")
    for what, ending in ENDINGS.items():
        for swallow in (False, True):
            ended = runs.run(partial(ends, ending=ending, swallow=swallow))
            assert runs.written == [], (what, ended)
            assert ended.failure is not None
            assert ended.failure["class"] == "app", (what, ended)
            if not swallow and what not in ("a procedure",):
                assert "run.transaction()" in ended.failure["message"], (what, ended)
    assert runs.run(writes).state == "succeeded"
    assert runs.written == ["mine"]


def test_what_a_task_may_do_in_its_transaction_it_may_do_as_before(runs: Performing) -> None:
    def works(run: Run) -> list[Any]:
        with run.transaction() as cursor:
            cursor.execute("savepoint a; insert into written values ('undone'); rollback to a; release a")
            psycopg2.extras.execute_values(
                cursor, "insert into written values %s", [("commit; ",), ("it's; end",)]
            )
            cursor.copy_expert("copy written from stdin", io.StringIO("by copy\n"))
            cursor.executemany("insert into written values (%s)", [("one",), ("two",)])
            cursor.execute("select case when true then 'a' end; -- ; commit")
            with cursor.connection.cursor("by_name", cursor_factory=psycopg2.extras.DictCursor) as named:
                named.execute("select what from written order by 1")
                found = [row["what"] for row in named]
            cursor.callproc("now")
            cursor.connection.cancel()
        return found

    every = ["by copy", "commit; ", "it's; end", "one", "two"]
    assert runs.run(works).result == every
    assert runs.written == every


# -- nothing of a run outlives it
# --------------------------------------------------------------------------------------


def test_a_generator_of_one_run_neither_spoils_nor_rolls_back_the_next(runs: Performing) -> None:
    kept: list[Any] = []

    def leaves_open(run: Run) -> None:
        for block in (run.transaction(), run.connection()):
            handle = block.__enter__()
            kept.append(block)
            with contextlib.nullcontext(handle) if hasattr(handle, "execute") else handle.cursor() as cursor:
                cursor.execute("insert into written values ('of A')")

    def goes_on(run: Run) -> None:
        with run.transaction() as cursor, run.connection() as connection, connection.cursor() as other:
            cursor.execute("insert into written values ('of B')")
            other.execute("insert into written values ('of B')")
            while kept:
                with contextlib.suppress(psycopg2.Error, RuntimeError):
                    kept.pop().gen.close()
            gc.collect()

    left = runs.run(leaves_open)
    assert left.state != "succeeded"
    assert "still open when the task returned" in str(left.failure)
    assert runs.run(goes_on).state == "succeeded"
    assert runs.written == ["of B", "of B"], "nothing of the blocks that A left open was committed"


@pytest.mark.parametrize("handle", ["cursor", "connection", "weak reference", "kind of its own"])
def test_a_thread_of_one_run_cannot_write_into_the_next(direct: Performing, handle: str) -> None:
    go, done = threading.Event(), threading.Event()
    said: list[str] = []

    def outlives(run: Run) -> None:
        with run.transaction() as cursor:
            cursor.execute("select 1")
            kept: Any = cursor.connection
            if handle == "cursor":
                kept = kept.cursor()
            elif handle == "weak reference":
                kept = weakref.ref(kept)
            elif handle == "kind of its own":
                kept = psycopg2.extensions.connection.cursor(kept, cursor_factory=psycopg2.extensions.cursor)

        def later() -> None:
            go.wait(20)
            try:
                target = kept() if handle == "weak reference" else kept
                with contextlib.nullcontext(target) if hasattr(target, "execute") else target.cursor() as own:
                    own.execute("insert into written values ('of A')")
                    own.connection.commit()
                said.append("wrote")
            except (psycopg2.Error, AttributeError) as error:
                said.append(type(error).__name__)
            done.set()

        threading.Thread(target=later, daemon=True).start()

    def meets(run: Run) -> None:
        with run.transaction() as cursor:
            cursor.execute("insert into written values ('of B')")
            go.set()
            assert done.wait(20)

    assert direct.run(outlives).state == "succeeded"
    assert direct.run(meets).state == "succeeded"
    assert direct.written == ["of B"]
    assert said in (["InterfaceError"], ["AttributeError"])


def test_a_statement_that_a_thread_left_running_holds_up_nobody(direct: Performing) -> None:
    def leaves(run: Run) -> None:
        block = run.connection()
        connection = block.__enter__()

        def sleeps() -> None:
            with contextlib.suppress(psycopg2.Error):
                connection.cursor().execute("insert into written values ('of A'); select pg_sleep(600)")
            block.gen.close()

        threading.Thread(target=sleeps, daemon=True).start()
        wait_until(
            lambda: direct.sql(
                "select 1 from pg_stat_activity where query like '%sleep(600)' and state = 'active'"
            ),
            "it sleeps",
        )

    began = time.monotonic()
    left = direct.run(leaves)
    assert left.state == "succeeded", left
    assert direct.run(writes).state == "succeeded"
    assert time.monotonic() - began < 60
    assert direct.written == ["mine"]


def test_a_fork_that_comes_back_touches_neither_transaction_of_its_parent(direct: Performing) -> None:
    def forks(run: Run) -> None:
        with run.transaction() as cursor, run.connection() as connection, connection.cursor() as other:
            cursor.execute("insert into written values ('transaction')")
            other.execute("insert into written values ('connection')")
            if (pid := os.fork()) == 0:
                try:
                    raw = psycopg2.extensions.connection
                    for use in (
                        lambda: cursor.execute("insert into written values ('of the fork')"),
                        lambda: raw.commit(connection),
                        lambda: raw.rollback(cursor.connection),
                        lambda: raw.close(connection),
                        lambda: raw.close(cursor.connection),
                    ):
                        with contextlib.suppress(psycopg2.Error):
                            use()
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
            cursor.execute("insert into written values ('transaction')")
            other.execute("insert into written values ('connection')")

    assert direct.run(forks).state == "succeeded"
    assert direct.written == ["connection", "connection", "transaction", "transaction"]


def test_a_session_is_kept_for_the_next_run_also_after_a_failure(direct: Performing) -> None:
    def asks(run: Run, *, fails: bool = False) -> int:
        with run.transaction() as cursor:
            cursor.execute("select pg_backend_pid()")
            if fails:
                cursor.execute("select 1/0")
            return int(cursor.fetchone()[0])

    first = direct.run(asks).result
    assert direct.run(partial(asks, fails=True)).state == "pending"
    assert direct.run(asks).result == first


def _backend(borrowed: BorrowedConnection) -> int:
    found: int = borrowed.connection.run("select pg_backend_pid()")[0][0]
    borrowed.end(commit=False)
    return found


def test_a_lock_that_a_run_left_is_released_while_its_process_is_idle(database: str) -> None:
    """The reset is sent when the run is over, and not when somebody needs the session again."""
    pool, other = ConnectionPool(database), psycopg2.connect(database)
    borrowed = pool.lend()
    borrowed.connection.run("select pg_advisory_lock(77)")
    pool.take_back(borrowed)
    other.autocommit = True
    with other.cursor() as cursor:

        def free() -> bool:
            cursor.execute("select count(*) from pg_locks where locktype = 'advisory'")
            return bool(cursor.fetchall() == [(0,)])

        wait_until(free, "the lock is free", 5)
    other.close()
    del borrowed
    pool.close()


@pytest.mark.parametrize("refused", [False, True], ids=["options taken", "options refused"])
def test_what_tasks_rely_on_outlives_a_change_of_the_server_s_configuration(
    own_postgres: PostgresServer, refused: bool
) -> None:
    """A session that is reset goes back to what it began with, and not to a default of the day."""
    url = own_postgres.new_database()
    pool, other = ConnectionPool(url), psycopg2.connect(url)
    pool._takes_options = not refused
    borrowed = pool.lend()
    other.autocommit = True
    with other.cursor() as cursor:
        for setting in ("timezone = 'Asia/Kathmandu'", "bytea_output = 'escape'"):
            cursor.execute(f"alter system set {setting}")
        cursor.execute("select pg_reload_conf()")

        def seen() -> bool:
            cursor.execute("show timezone")
            return bool(cursor.fetchall() == [("Asia/Kathmandu",)])

        wait_until(seen, "the server has its new configuration", 5)
    other.close()
    pool.take_back(borrowed)
    del borrowed
    again = pool.lend()
    values = again.connection.run("select current_setting('timezone'), current_setting('bytea_output')")
    again.drop()
    pool.close()
    assert values == [("UTC", "hex")]


def test_a_pooler_that_refuses_options_of_the_start_is_connected_to_without(
    postgres: PostgresServer, database: str
) -> None:
    bouncer = PgBouncer(postgres, ignored="extra_float_digits").start()
    made = Performing(database, bouncer.url(database))
    try:
        with pytest.raises(psycopg2.OperationalError, match="options"):
            psycopg2.connect(bouncer.url(database), options="-c timezone=UTC")

        def zone(run: Run) -> str:
            with run.transaction() as cursor:
                cursor.execute("show timezone")
                return str(cursor.fetchone()[0])

        assert [made.run(zone).result for _ in range(2)] == ["UTC", "UTC"]
    finally:
        made.close()
        bouncer.stop()


def _next_after_a_reset_that_failed(
    pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> tuple[bool, str]:
    """Whether the next run is lent the same session, and what it sees there of the last one."""
    first = pool.lend()
    backend = _backend(first)
    first.connection.run("set app.tenant = 'customer A'")
    first.connection.end(commit=True)
    monkeypatch.setattr(first, "_reset", "select 1 / 0;")
    pool.take_back(first)
    del first
    second = pool.lend()
    seen = second.connection.run("select coalesce(current_setting('app.tenant', true), '')")[0][0]
    found = _backend(second) == backend, seen
    second.drop()
    pool.close()
    return found


def test_a_session_whose_reset_failed_is_lent_to_nobody(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _next_after_a_reset_that_failed(ConnectionPool(database), monkeypatch) == (False, "")


def test_without_reading_its_answer_a_session_that_was_not_reset_would_be_lent(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: psycopg2 drops the answers that it did not ask for, errors among them."""
    monkeypatch.setattr(BorrowedConnection, "_cleaned", lambda self: True)
    assert _next_after_a_reset_that_failed(ConnectionPool(database), monkeypatch) == (True, "customer A")
