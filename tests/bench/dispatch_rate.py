"""Rows of a user's table, claimed, marked, in the ledger and in Redis, by one dispatcher process.

Nobody drains the queue, so the bounds on what may wait in ledger and Redis (which the dispatcher keeps for
the sake of priorities) are opened.
"""

import time

import redis

from tests.bench.dispatcher import dispatcher_process
from tests.bench.frame import Bench, Target
from tests.services.process import wait_until
from tests.services.rows import add_orders, create_orders

NAME = "dispatch_rate"
KEYS = {
    "dispatch_rows_per_s": Target(
        "rows claimed from a user's table and in Redis, one dispatcher", "rows/s", "higher", 10_000, 20_000
    )
}
_QUEUE = "rq:queue:default.orders"


def measure(bench: Bench) -> dict[str, float]:
    rows = 1_000 if bench.quick else 50_000
    with bench.database() as url, redis.Redis.from_url(bench.redis.url) as client:
        create_orders(url)
        options = {
            "claimer": {"smallest_depth": 2 * rows, "largest_depth": 2 * rows},
            "feeder": {"window": 2 * rows, "hard_cap": 2 * rows},
        }
        with dispatcher_process(url, bench.redis.url, **options):
            add_orders(url, rows, customers=100)
            committed = time.perf_counter()
            wait_until(lambda: client.llen(_QUEUE) >= rows, f"{rows} ids in Redis", 120)
            return {"dispatch_rows_per_s": rows / (time.perf_counter() - committed)}
