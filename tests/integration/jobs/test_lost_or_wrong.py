"""A lost connection to the ledger's database is the platform's failure; a mistake in the use of one is the
task's.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg2
import pytest

from rowlock_jobs.task import Permanent, Run
from tests.integration.jobs.performing import Performing
from tests.services.pgbouncer import PgBouncer
from tests.services.process import free_port, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def runs(database: str) -> Iterator[Performing]:
    made = Performing(database)
    yield made
    made.close()


def uses_a_closed_cursor(run: Run) -> None:
    with run.connection() as connection:
        cursor = connection.cursor()
        cursor.close()
        cursor.execute("select 1")


def uses_a_cursor_after_its_block(run: Run) -> None:
    with run.transaction() as cursor:
        pass
    cursor.execute("select 1")


def uses_a_connection_that_it_closed(run: Run) -> None:
    with run.connection() as connection:
        connection.close()
        connection.cursor()


def closes_the_connection_and_leaves_it_so(run: Run) -> None:
    with run.connection() as connection:
        connection.close()


def uses_an_iterator_of_another_kind(run: Run) -> None:
    with run.connection() as connection, connection.cursor("named") as cursor:
        cursor.execute("select 1")
        cursor.execute("select 2")


def asks_another_database_that_is_away(_run: Run) -> None:
    psycopg2.connect(f"postgresql://nobody@127.0.0.1:{free_port()}/none")


def asks_another_database_while_it_has_ours(run: Run) -> None:
    with run.transaction() as cursor:
        cursor.execute("select 1")
        asks_another_database_that_is_away(run)


def raises_what_a_foreign_server_said(run: Run) -> None:
    with run.connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "do $$ begin raise exception 'could not establish connection' using errcode = '08001'; end $$"
        )


def is_shut_down_elsewhere(run: Run) -> None:
    with run.transaction() as cursor:
        cursor.execute(
            "do $$ begin raise exception 'the other one is shutting down' using errcode = '57P01'; end $$"
        )


def begins_an_effect(run: Run, effect: Any) -> None:
    run.begin_effect(effect)


class Odd(str):
    """Of no class that psycopg2 knows, but a text."""


WRONG: dict[str, Callable[[Run], Any]] = {
    function.__name__: function
    for function in (
        uses_a_closed_cursor,
        uses_a_cursor_after_its_block,
        uses_a_connection_that_it_closed,
        closes_the_connection_and_leaves_it_so,
        uses_an_iterator_of_another_kind,
        asks_another_database_that_is_away,
        asks_another_database_while_it_has_ours,
        raises_what_a_foreign_server_said,
        is_shut_down_elsewhere,
    )
} | {
    f"effect {type(effect).__name__}": partial(begins_an_effect, effect=effect)
    for effect in (7, None, b"mail", {"a": 1}, object(), "\x00", "\ud800")
}


def test_a_mistake_of_the_task_is_its_own_failure_and_not_the_databases(runs: Performing) -> None:
    found = {what: runs.run(function).failure for what, function in WRONG.items()}
    assert {what: failure["class"] if failure else None for what, failure in found.items()} == dict.fromkeys(
        WRONG, "app"
    )
    assert [what for what, failure in found.items() if failure and not failure["message"]] == []
    assert runs.run(lambda run: run.begin_effect(Odd("mail")) and run.end_effect()).state == "succeeded"


def cut(runs: Performing) -> None:
    """The server ends the sessions of tasks, as a restart or a failover does."""
    runs.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rowlock-task%'"
    )
    wait_until(
        lambda: not runs.sql("select 1 from pg_stat_activity where application_name like 'rowlock-task%'"),
        "they are gone",
    )


def loses_it(run: Run, runs: Performing, way: str) -> None:
    with run.connection() as plain, run.transaction() as fenced:
        other = plain.cursor()
        for each in (fenced, other):
            each.execute("select 1")
        cut(runs)
        match way:
            case "transaction":
                fenced.execute("select 1")
            case "connection":
                other.execute("select 1")
            case "swallowed and used again":
                with contextlib.suppress(psycopg2.Error):
                    fenced.execute("select 1")
                fenced.execute("select 1")
            case "an error of the task's own from it":
                try:
                    fenced.execute("select 1")
                except psycopg2.Error as error:
                    raise LookupError("no customer") from error
            case "in the middle of a rollback":
                try:
                    other.execute("select 1")
                finally:
                    plain.rollback()
            case "the task decides":
                try:
                    fenced.execute("select 1")
                except psycopg2.Error as error:
                    raise Permanent("not again") from error


@pytest.mark.parametrize(
    "way",
    [
        "transaction",
        "connection",
        "swallowed and used again",
        "an error of the task's own from it",
        "in the middle of a rollback",
    ],
)
def test_a_lost_connection_is_the_platforms_failure_however_the_task_meets_it(
    runs: Performing, way: str
) -> None:
    failure = runs.run(partial(loses_it, runs=runs, way=way)).failure
    assert failure is not None
    assert (failure["class"], failure["reason"]) == ("infra", "DatabaseAway")
    assert runs.run(lambda run: "well").result == "well"


def test_a_task_that_says_what_its_failure_is_has_the_last_word(runs: Performing) -> None:
    assert runs.run(partial(loses_it, runs=runs, way="the task decides")).state == "dead"


def test_a_database_that_cannot_be_reached_at_all_is_the_platforms_failure(database: str) -> None:
    nowhere = Performing(database, f"postgresql://postgres@127.0.0.1:{free_port()}/none")

    def begins(run: Run) -> None:
        with run.transaction() as cursor:
            cursor.execute("select 1")

    failure = nowhere.run(begins).failure
    assert failure is not None
    assert failure["class"] == "infra"
    nowhere.close()


@pytest.mark.parametrize("way", ["direct", "pgbouncer"])
def test_what_the_finish_is_refused_for_is_told_from_a_loss(
    database: str, pgbouncer: PgBouncer, way: str
) -> None:
    runs = Performing(database, pgbouncer.url(database) if way == "pgbouncer" else "")
    refused = {
        "a deferred constraint": (
            "create temp table t(a int unique deferrable initially deferred); insert into t values (1), (1)"
        ),
        "read only": "set transaction read only",
        "aborted": "savepoint a; rollback to a; set local statement_timeout = 0",
    }
    for what, statement in refused.items():

        def writes(run: Run, statement: str = statement, what: str = what) -> None:
            with run.transaction() as cursor:
                cursor.execute(statement)
                if what == "aborted":
                    with contextlib.suppress(psycopg2.Error):
                        cursor.execute("select 1/0")

        failure = runs.run(writes).failure
        assert failure is not None, what
        assert (failure["class"], failure["reason"]) == ("app", "TransactionFailed"), what
    runs.close()
