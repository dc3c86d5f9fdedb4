"""An outcome is written over the mark of its own attempt: what a task, a person or a newer run wrote into the
row meanwhile stays.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from rowlock_operator.dispatch.database import DispatchSettings
from rowlock_operator.dispatch.figures import FiguresSettings
from rowlock_operator.dispatch.scribe import ScribeSettings
from rowlock_operator.rows import write_back
from rowlock_operator.rows.outcomes import Outcome, Word, words
from rowlock_operator.rows.source import Source
from rowlock_operator.rows.write_back import WriteBack
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import (
    BareRunner,
    Bench,
    create_orders,
    dispatching,
    order_plan,
    run_states,
    statuses,
)

pytestmark = pytest.mark.integration
# outcomes are written when the test says so
BY_HAND = DispatchSettings(scribe=ScribeSettings(idle_seconds=3600.0))
AT_ONCE = {"app": {"limit": 0}}
REQUEUE_ALL = (
    "select rowlock.requeue_v1(array(select id from rowlock.run where state in ('dead', 'unknown',"
    " 'canceled')))"
)


def sql(url: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect(url) as cur:
        cur.execute(statement, parameters or None)
        return cur.fetchall() if cur.description else []


def source_of(bench: Bench) -> Source:
    return bench.dispatcher.state.sources["default/orders"].source


def ends_its_row(url: str, status: str) -> Any:
    """A task as the old systems have it: catches everything, says so in its own row, and returns."""

    def work(args: dict[str, Any]) -> None:
        sql(
            url,
            "update orders set status = %s, error = 'my own words' where id = %s",
            status,
            args["order_id"],
        )

    return work


@pytest.fixture
def by_hand(database: str, redis_url: str) -> Iterator[Bench]:
    create_orders(database)
    with dispatching(database, redis_url, settings=BY_HAND, retry=AT_ONCE) as bench:
        yield bench


@pytest.mark.parametrize("status", ["failed", "done", "archived"])
def test_a_row_that_its_task_ended_itself_keeps_what_it_says_and_is_counted(
    status: str, database: str, redis_url: str
) -> None:
    create_orders(database, rows=3)
    settings = DispatchSettings(figures=FiguresSettings(counts_seconds=0.2))
    with (
        dispatching(database, redis_url, settings=settings) as bench,
        BareRunner(database, redis_url, ends_its_row(database, status)),
    ):
        bench.source()
        wait_until(lambda: run_states(database) == {"succeeded": 3}, "all have run")
        wait_until(
            lambda: sql(database, "select count(*) from rowlock.outbox") == [(0,)],
            "their outcomes are dealt with",
        )
        wait_until(
            lambda: bench.dispatcher.state.sources["default/orders"].left_alone == 3, "they are counted"
        )
        assert bench.dispatcher.state.sources["default/orders"].trouble is None
    assert sql(database, "select distinct status, error from orders") == [(status, "my own words")]
    assert sql(database, "select distinct left_alone from rowlock.done") == [("changed",)]


def as_before(outcomes: Iterable[Outcome], values: dict[str, str]) -> dict[str, Word]:
    """Every value that Rowlock writes gives way to every outcome."""
    return {key: replace(word, requeued=True) for key, word in words(outcomes, values).items()}


def test_by_the_old_rule_a_row_that_its_task_failed_is_told_to_be_done(
    database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_back, "words", as_before)
    create_orders(database, rows=3)
    with (
        dispatching(database, redis_url) as bench,
        BareRunner(database, redis_url, ends_its_row(database, "failed")),
    ):
        bench.source()
        wait_until(lambda: statuses(database) == {"done": 3}, "the task's word is lost")


def run_again_before_the_first_outcome_is_written(bench: Bench, url: str, redis_url: str) -> None:
    sql(url, "insert into orders(customer, amount) values ('c', 1)")
    bench.source()
    with BareRunner(url, redis_url, lambda args: None):
        wait_until(lambda: run_states(url) == {"succeeded": 1}, "the first run")
    sql(url, "update orders set status = 'new'")
    wait_until(lambda: run_states(url).get("queued") == 1, "it is taken again")
    assert statuses(url) == {"queued": 1}


def test_an_old_outcome_leaves_the_mark_of_a_newer_claim_alone(
    by_hand: Bench, database: str, redis_url: str
) -> None:
    run_again_before_the_first_outcome_is_written(by_hand, database, redis_url)
    assert source_of(by_hand).write_back() == 1
    assert statuses(database) == {"queued": 1}

    def fail(args: dict[str, Any]) -> None:
        raise ValueError("the second time")

    with BareRunner(database, redis_url, fail):
        wait_until(lambda: run_states(database) == {"succeeded": 1, "dead": 1}, "the second run")
    assert source_of(by_hand).write_back() == 1
    assert sql(database, "select status, error from orders") == [("failed", "the second time")]
    assert sql(database, "select state, left_alone from rowlock.done order by 1") == [
        ("dead", None),
        ("succeeded", "newer"),
    ]


def test_without_the_look_for_newer_marks_a_waiting_row_is_told_to_be_done(
    by_hand: Bench, database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WriteBack, "_newer", lambda self, cursor, of: {})
    run_again_before_the_first_outcome_is_written(by_hand, database, redis_url)
    source_of(by_hand).write_back()
    assert (statuses(database), run_states(database)) == ({"done": 1}, {"succeeded": 1, "queued": 1})


def test_of_two_runs_of_a_row_the_newer_outcome_is_written(
    by_hand: Bench, database: str, redis_url: str
) -> None:
    """Also where a thousand others stand between them in the line."""
    run_again_before_the_first_outcome_is_written(by_hand, database, redis_url)
    sql(
        database,
        "insert into rowlock.outbox(source_id, source_key, state, run, attempt)"
        " select %s, 10000 + i, 'succeeded', gen_random_uuid(), 1 from generate_series(1, 1000) i",
        source_of(by_hand).source_id,
    )

    def fail(args: dict[str, Any]) -> None:
        raise ValueError("no")

    with BareRunner(database, redis_url, fail):
        wait_until(lambda: run_states(database) == {"succeeded": 1, "dead": 1}, "the second run")
    while source_of(by_hand).write_back():
        pass
    assert statuses(database) == {"failed": 1}


def dead_order(bench: Bench, url: str, redis_url: str) -> None:
    def fail(args: dict[str, Any]) -> None:
        raise ValueError("no")

    sql(url, "insert into orders(customer, amount) values ('c', 1)")
    bench.source()
    with BareRunner(url, redis_url, fail):
        wait_until(lambda: run_states(url) == {"dead": 1}, "it failed")


@pytest.mark.parametrize("written_before", [True, False])
def test_a_requeue_marks_the_row_again_and_its_outcome_follows(
    written_before: bool, by_hand: Bench, database: str, redis_url: str
) -> None:
    dead_order(by_hand, database, redis_url)
    if written_before:
        source_of(by_hand).write_back()
        assert statuses(database) == {"failed": 1}
    sql(database, REQUEUE_ALL)
    source_of(by_hand).write_back()
    assert sql(database, "select status, error from orders") == [("queued", None)]
    with BareRunner(database, redis_url, lambda args: None):
        wait_until(lambda: run_states(database) == {"succeeded": 1}, "it succeeds")
    source_of(by_hand).write_back()
    assert statuses(database) == {"done": 1}


def test_a_requeue_and_its_outcome_written_at_once(by_hand: Bench, database: str, redis_url: str) -> None:
    dead_order(by_hand, database, redis_url)
    source_of(by_hand).write_back()
    sql(database, REQUEUE_ALL)
    with BareRunner(database, redis_url, lambda args: None):
        wait_until(lambda: run_states(database) == {"succeeded": 1}, "it succeeds")
    source_of(by_hand).write_back()
    assert sql(database, "select status, error from orders") == [("done", None)]


def test_a_row_that_its_user_put_aside_is_not_marked_by_a_requeue(
    by_hand: Bench, database: str, redis_url: str
) -> None:
    dead_order(by_hand, database, redis_url)
    source_of(by_hand).write_back()
    sql(database, "update orders set status = 'on hold'")
    sql(database, REQUEUE_ALL)
    with BareRunner(database, redis_url, lambda args: None):
        wait_until(lambda: run_states(database) == {"succeeded": 1}, "it runs all the same")
    source_of(by_hand).write_back()
    assert statuses(database) == {"on hold": 1}


def test_the_outcome_of_a_row_that_is_gone_is_counted_and_holds_up_nothing(
    by_hand: Bench, database: str, redis_url: str
) -> None:
    create_orders(database, rows=3)
    by_hand.source()
    with BareRunner(database, redis_url, lambda args: None):
        wait_until(lambda: run_states(database) == {"succeeded": 3}, "all have run")
    sql(database, "delete from orders where id = 2")
    assert source_of(by_hand).write_back() == 3
    assert statuses(database) == {"done": 2}
    assert sql(database, "select source_key from rowlock.done where left_alone = 'gone'") == [("2",)]


@pytest.mark.parametrize(
    "type_",
    ["char(12)", "varchar(6)", "state_enum", "state_domain", "padded_domain", '"Status Text"'],
)
def test_whatever_the_type_of_the_status_the_outcome_finds_its_mark(
    type_: str, database: str, redis_url: str
) -> None:
    create_orders(database, rows=2, index=False)
    sql(database, "create type state_enum as enum ('new', 'queued', 'done', 'failed')")
    sql(database, "create domain state_domain as text check (value in ('new', 'queued', 'done', 'failed'))")
    sql(database, "create domain padded_domain as char(8) not null")
    sql(database, 'create domain "Status Text" as state_domain')
    sql(
        database,
        f"alter table orders alter status drop default, alter status type {type_} using status::{type_}",
    )
    with dispatching(database, redis_url) as bench, BareRunner(database, redis_url, lambda args: None):
        bench.source()
        wait_until(
            lambda: statuses(database) in ({"done": 2}, {"done".ljust(12): 2}, {"done".ljust(8): 2}),
            "all are told",
        )


def test_a_run_remembers_what_its_row_said_before_it_was_taken(
    by_hand: Bench, database: str, redis_url: str
) -> None:
    create_orders(database, rows=2)
    sql(database, "update orders set status = 'again' where id = 2")
    by_hand.source(order_plan(pending="status in ('new', 'again')"))
    wait_until(lambda: run_states(database) == {"queued": 2}, "both are taken")
    assert sql(database, "select source_key, status_before from rowlock.active order by 1") == [
        ("1", "new"),
        ("2", "again"),
    ]

    def fail(args: dict[str, Any]) -> None:
        if args["order_id"] == 2:
            raise ValueError("no")

    with BareRunner(database, redis_url, fail):
        wait_until(lambda: run_states(database) == {"succeeded": 1, "dead": 1}, "both have run")
    assert sql(database, "select source_key, status_before from rowlock.done order by 1") == [
        ("1", "new"),
        ("2", "again"),
    ]
    sql(database, REQUEUE_ALL)
    assert sql(database, "select source_key, status_before from rowlock.active") == [("2", "again")]
