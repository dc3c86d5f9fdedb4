"""From the commit of a row to the first line of its task in a warm, idle worker: real dispatcher process,
real worker process, one clock.

The commit's time is the client's, when the INSERT has returned. Rows come one after the other, at random
moments.
"""

import random
import time
from pathlib import Path

import psycopg2

from tests.bench.dispatcher import dispatcher_process
from tests.bench.frame import Bench, Target, percentile
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import create_orders
from tests.services.worker import RunningWorker, worker_environment

NAME = "row_to_start"
KEYS = {
    "row_to_start_ms_p50": Target(
        "commit of a row to the first line of its task, warm worker, with hint: median", "ms", "lower", 10, 3
    ),
    "row_to_start_ms_p99": Target("the same: 99 %", "ms", "lower", 50, 15),
    "row_to_start_poll_ms_p50": Target("the same by poll alone: median", "ms", "lower", 35, 20),
    "row_to_start_poll_ms_p99": Target("the same by poll alone: 99 %", "ms", "lower", 80),
}
TRIGGER = (
    "create trigger orders_hint after insert on orders for each statement execute function rowlock.hint_v1()"
)


def measure(bench: Bench) -> dict[str, float]:
    hinted, polled = latencies(bench, hint=True), latencies(bench, hint=False)
    return {
        "row_to_start_ms_p50": percentile(hinted, 50),
        "row_to_start_ms_p99": percentile(hinted, 99),
        "row_to_start_poll_ms_p50": percentile(polled, 50),
        "row_to_start_poll_ms_p99": percentile(polled, 99),
    }


def latencies(bench: Bench, *, hint: bool) -> list[float]:
    """Milliseconds of each row."""
    count, warm_up = (10, 3) if bench.quick else (200, 20)
    stamps = bench.folder / f"stamps-{time.time_ns()}"
    with bench.database() as url:
        create_orders(url)
        if hint:
            with connect(url) as cur:
                cur.execute(TRIGGER)
        environment = worker_environment(
            url=url, redis_url=bench.redis.url, queue="default/orders", folder=bench.folder, tasks="stamp",
            rowlock_imports="tests.bench.tasks", rowlock_bench_stamps=str(stamps),
        )  # fmt: skip
        worker = RunningWorker(environment, bench.folder / f"{stamps.name}.log")
        try:
            worker.wait_ready()
            with dispatcher_process(url, bench.redis.url, claimer={"hint": hint}):
                committed = _insert_one_by_one(url, count + warm_up, stamps)
        finally:
            worker.close()
    started = _read(stamps)
    return sorted((started[row] - at) / 1e6 for row, at in list(committed.items())[warm_up:])


def _insert_one_by_one(url: str, count: int, stamps: Path) -> dict[int, int]:
    """Row -> nanoseconds of its commit; the next comes once the last has started, after a random pause longer
    than a poll.
    """
    committed: dict[int, int] = {}
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cur:
        for number in range(1, count + 1):
            cur.execute("insert into orders(customer, amount) values ('Ada', 1) returning id")
            at = time.time_ns()
            committed[(cur.fetchone() or (0,))[0]] = at
            wait_until(
                lambda expected=number: len(_read(stamps)) >= expected, "the row's task has started", 30
            )  # type: ignore[misc]
            time.sleep(random.uniform(0.01, 0.08))
    connection.close()
    return committed


def _read(stamps: Path) -> dict[int, int]:
    lines = stamps.read_text().splitlines() if stamps.exists() else []
    return {int(row): int(at) for row, at in (line.split() for line in lines)}
