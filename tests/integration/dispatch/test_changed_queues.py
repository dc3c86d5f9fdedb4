"""A WorkQueue made anew in another mode, or gone: nothing that it had claimed is kept from running, and
nothing runs twice.
"""

from typing import Any

import pytest

from rowlock_operator.dispatch.state import QueueEntry
from tests.integration.ledger.ledger_client import LedgerClient
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import (
    QUEUE,
    BareRunner,
    Bench,
    add_orders,
    create_orders,
    dispatching,
    order_plan,
    run_states,
    statuses,
)

pytestmark = pytest.mark.integration


def made_anew(bench: Bench, *, jobs_mode: bool, name: str = QUEUE) -> None:
    """kubectl delete workqueue, kubectl apply."""
    dispatcher = bench.dispatcher
    dispatcher.unregister_queue(name)
    bench.queue = dispatcher.register_queue(
        QueueEntry(0, name, jobs_mode, False, 600), retry={}, succeeded_seconds=86400, dead_seconds=86400
    )


def attempts(url: str) -> set[int]:
    with connect(url) as cur:
        cur.execute("select attempt from rowlock.active")
        return {attempt for (attempt,) in cur.fetchall()}


def test_what_redis_had_is_launched_once_the_queue_is_of_mode_jobs(database: str, redis_url: str) -> None:
    create_orders(database, rows=12)
    with dispatching(database, redis_url) as bench:
        bench.source()
        wait_until(
            lambda: run_states(database) == {"queued": 12}, "all are claimed for Redis, more than parallelism"
        )
        made_anew(bench, jobs_mode=True)
        add_orders(database, 3)
        wait_until(
            lambda: run_states(database) == {"launching": 10, "pending": 5},
            "as many as parallelism are launched",
        )
        assert (len(set(bench.launched)), attempts(database)) == (10, {1})


def test_what_was_to_be_launched_runs_on_workers_once_the_queue_is_of_mode_workers(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=12)
    ran: list[int] = []
    with dispatching(database, redis_url, jobs_mode=True) as bench:
        bench.source()
        wait_until(
            lambda: run_states(database) == {"launching": 10, "pending": 2},
            "as many as parallelism are launched",
        )
        made_anew(bench, jobs_mode=False)
        with BareRunner(database, redis_url, lambda args: ran.append(args["order_id"])) as runner:
            wait_until(lambda: statuses(database) == {"done": 12}, "all ran on the worker")
    assert sorted(ran) == list(range(1, 13))
    assert {attempt for _, attempt in runner.started} == {1}


def test_a_run_that_has_started_keeps_its_runner_whatever_becomes_of_its_queue(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=2)
    client = LedgerClient(database)
    with dispatching(database, redis_url) as bench:
        bench.source()
        wait_until(lambda: run_states(database) == {"queued": 2}, "both are claimed")
        run = client.value("select id::text from rowlock.active order by source_key limit 1")
        assert client.start(run)
        made_anew(bench, jobs_mode=True)
        wait_until(
            lambda: run_states(database) == {"running": 1, "launching": 1}, "the other one is launched"
        )
        assert client.finish(run) == "succeeded"
    client.close()


def test_a_worker_that_comes_late_with_an_old_id_starts_nothing_twice(database: str, redis_url: str) -> None:
    create_orders(database, rows=1)
    client = LedgerClient(database)
    with dispatching(database, redis_url) as bench:
        bench.source()
        wait_until(lambda: run_states(database) == {"queued": 1}, "it is claimed")
        run = client.value("select id::text from rowlock.active")
        bench.dispatcher.unregister_queue(QUEUE)
        wait_until(lambda: run_states(database) == {"pending": 1}, "its queue is gone: it waits")
        assert not client.start(run)
        made_anew(bench, jobs_mode=True)
        wait_until(lambda: run_states(database) == {"launching": 1}, "it is launched")
        assert [client.start(run), client.start(run)] == [True, False]  # who comes first, once
    client.close()


def other_queue(bench: Bench) -> QueueEntry:
    return bench.dispatcher.register_queue(
        QueueEntry(0, "default/other", False, False, 600),
        retry={},
        succeeded_seconds=86400,
        dead_seconds=86400,
    )


def test_runs_of_a_queue_that_is_gone_go_over_to_the_one_their_source_names_now(
    database: str, redis_url: str
) -> None:
    create_orders(database, rows=100)
    ran: list[int] = []
    with dispatching(database, redis_url) as bench:
        bench.source(order_plan(fairness_key="customer"))
        wait_until(lambda: statuses(database) == {"queued": 100}, "all are taken")
        other = other_queue(bench)
        bench.dispatcher.register_source(
            order_plan(fairness_key="customer"), [], queue_id=other.queue_id, suspended=False
        )
        bench.dispatcher.unregister_queue(QUEUE)
        with BareRunner(
            database, redis_url, lambda args: ran.append(args["order_id"]), queue="default.other"
        ):
            wait_until(lambda: statuses(database) == {"done": 100}, "all ran in the other queue")
    assert sorted(ran) == list(range(1, 101))


@pytest.mark.parametrize("task", ["another", "bill"])
def test_only_what_the_other_queue_knows_goes_over(database: str, redis_url: str, task: str) -> None:
    create_orders(database, rows=1)
    with dispatching(database, redis_url) as bench:
        bench.source()
        wait_until(lambda: run_states(database) == {"queued": 1}, "it is claimed")
        other = other_queue(bench)
        bench.dispatcher.register_source(order_plan(task=task), [], queue_id=other.queue_id, suspended=False)
        bench.dispatcher.unregister_queue(QUEUE)

        def waits() -> list[Any]:
            with connect(database) as cur:
                cur.execute(
                    "select q.name, a.state from rowlock.active a join rowlock.queue q on q.id = a.queue_id"
                )
                return list(cur.fetchall())

        expected = ("default/other", "queued") if task == "bill" else (QUEUE, "pending")
        wait_until(lambda: waits() == [expected], f"it is {expected}")
