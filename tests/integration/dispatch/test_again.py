"""Without a status column the table does not say that a row shall run again: spec.again does."""

from typing import Any

import pytest

from rowlock_operator.rows.source_table import SourcePlan
from tests.integration.ledger.ledger_client import LedgerClient
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import BareRunner, Bench, dispatching, order_plan, run_states

pytestmark = pytest.mark.integration
SOURCE = "default/orders"


def cookies(**changes: Any) -> SourcePlan:
    """Cookies that expire: pending once more, and then again."""
    return order_plan(
        table="cookies", key="name", pending="expired", order_by=(), arguments=(("name", "name"),),
        status_column=None, error_column=None, claimed="", succeeded="", failed="", **changes,
    )  # fmt: skip


@pytest.fixture
def jar(database: str) -> str:
    execute(
        database,
        "create table cookies(name text primary key, expired bool not null default true, renewed timestamptz"
        " default now(), tries int, body jsonb)",
        "insert into cookies(name) values ('a'), ('b'), ('c')",
    )
    return database


def execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    with connect(url) as cur:
        for statement in statements:
            cur.execute(statement)
        return list(cur.fetchall()) if cur.description else []


class Jar:
    """What ran, in order."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def __call__(self, args: dict[str, Any]) -> None:
        self.ran.append(args["name"])

    def wait(self, *names: str) -> None:
        """Everything since the last call, in any order; then nothing else for as long as a proof row
        takes.
        """
        wait_until(lambda: len(self.ran) >= len(names), f"{names} ran")
        assert sorted(self.ran) == sorted(names)
        self.ran.clear()


def proof(url: str, jar: Jar, name: str) -> None:
    """A new row runs: whatever was to run before it has."""
    execute(url, f"insert into cookies(name, renewed) values ('{name}', 'epoch')")
    jar.wait(name)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("renewed", "renewed = renewed + interval '1 microsecond'"),
        ("tries", "tries = 1"),  # from null
        ("body", """body = '{"deep": [1, 2, 3]}'"""),
    ],
)
def test_a_row_runs_once_for_each_value_of_its_version_column(
    jar: str, redis_url: str, column: str, change: str
) -> None:
    ran = Jar()
    with dispatching(jar, redis_url) as bench, BareRunner(jar, redis_url, ran):
        bench.source(cookies(version_column=column))
        ran.wait("a", "b", "c")
        # the same version: it ran
        execute(jar, "update cookies set expired = false", "update cookies set expired = true")
        proof(jar, ran, "d")
        execute(jar, f"update cookies set {change} where name = 'b'")
        ran.wait("b")
        execute(jar, f"update cookies set {column} = null where name = 'b'")
        ran.wait("b")
        proof(jar, ran, "e")


def test_never_means_never(jar: str, redis_url: str) -> None:
    """The twin: what a source without `again` has always done."""
    ran = Jar()
    with dispatching(jar, redis_url) as bench, BareRunner(jar, redis_url, ran):
        bench.source(cookies())
        ran.wait("a", "b", "c")
        execute(jar, "update cookies set renewed = now(), tries = 1")
        proof(jar, ran, "d")


def test_a_row_that_stays_pending_runs_again_after_so_many_seconds(jar: str, redis_url: str) -> None:
    ran = Jar()
    with dispatching(jar, redis_url) as bench, BareRunner(jar, redis_url, ran):
        bench.source(cookies(again_seconds=3600))
        ran.wait("a", "b", "c")
        execute(
            jar,
            "update cookies set expired = false where name = 'b'",
            "update rowlock.seen set taken_at = taken_at - interval '1 h' where key <> 'c'",
        )
        ran.wait("a")  # b is not pending, the hour of c is not over
        proof(jar, ran, "d")
        execute(jar, "update cookies set expired = true where name = 'b'")
        ran.wait("b")


@pytest.mark.parametrize(
    "again", [{"version_column": "renewed"}, {"again_seconds": 1}], ids=["version", "seconds"]
)
def test_a_row_never_runs_twice_at_once_and_what_changed_meanwhile_runs_after_it(
    jar: str, redis_url: str, again: dict[str, Any]
) -> None:
    client = LedgerClient(jar)
    with dispatching(jar, redis_url) as bench:
        bench.source(cookies(**again))
        wait_until(lambda: run_states(jar) == {"queued": 3}, "all are claimed")
        (run,) = client.rows("select id::text from rowlock.active where source_key = 'a'")[0]
        assert client.start(run)
        execute(
            jar,
            "update rowlock.seen set taken_at = taken_at - interval '1 h'",
            "update cookies set renewed = now() + interval '1 h' where name = 'a'",
            "insert into cookies(name) values ('d')",
        )
        wait_until(
            lambda: run_states(jar) == {"running": 1, "queued": 3}, "the new row is claimed, and only that"
        )
        client.finish(run)
        wait_until(lambda: run_states(jar) == {"succeeded": 1, "queued": 4}, "now it is claimed again")
    client.close()


def test_keys_far_behind_run_again_although_later_ones_were_taken(jar: str, redis_url: str) -> None:
    """No cursor: what runs again lies before it."""
    execute(jar, "insert into cookies(name) select 'n' || i from generate_series(1, 600) i")
    ran = Jar()
    with dispatching(jar, redis_url) as bench, BareRunner(jar, redis_url, ran):
        bench.source(cookies(version_column="renewed"))
        wait_until(lambda: len(ran.ran) == 603, "all ran", 40)
        ran.ran.clear()
        execute(jar, "update cookies set renewed = now() where name = 'a'")
        ran.wait("a")


def changed(bench: Bench, **again: Any) -> None:
    bench.source(cookies(**again))


@pytest.mark.parametrize(
    "before",
    [{}, {"again_seconds": 3600}, {"version_column": "tries"}],
    ids=["never", "seconds", "another column"],
)
def test_what_ran_before_a_version_column_was_named_does_not_run_for_that(
    jar: str, redis_url: str, before: dict[str, Any]
) -> None:
    ran = Jar()
    with dispatching(jar, redis_url) as bench, BareRunner(jar, redis_url, ran):
        bench.source(cookies(**before))
        ran.wait("a", "b", "c")
        changed(bench, version_column="renewed")
        proof(jar, ran, "d")
        wait_until(
            lambda: (
                execute(
                    jar,
                    "select count(*), count(distinct left(version, 8)) from rowlock.seen where version is not"
                    " null",
                )
                == [(4, 1)]
            ),
            "their present versions are noted",
        )
        execute(jar, "update cookies set renewed = now() + interval '1 h' where name = 'b'")
        ran.wait("b")
        changed(bench)
        execute(jar, "update cookies set renewed = now() + interval '2 h'")
        proof(jar, ran, "e")
