"""What waits behind limits costs nobody else: 1,000,000 runs of a throttled key and one of another; 10,000
throttled keys and nothing to take.

A look is one round of the claimer as it calls it: fold, wake, claim, one durable commit.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rowlock_operator.rows.ledger import Ledger
from rowlock_operator.rows.pool import Pool
from tests.bench.frame import Bench, Target, percentile
from tests.bench.ledger import QUEUE, add_runs, new_queue
from tests.services.postgres import connect

NAME = "behind_limits"
KEYS = {
    "behind_limit_ms_p99": Target(
        "1,000,000 runs of a throttled key wait: a run of another key is taken after, 99 %",
        "ms",
        "lower",
        20,
        3,
    ),
    "throttled_keys_look_ms_p50": Target(
        "10,000 throttled keys wait: a look that takes nothing, median", "ms", "lower", 5, 1
    ),
}


def measure(bench: Bench) -> dict[str, float]:
    runs, keys, looks = (2_000, 50, 10) if bench.quick else (1_000_000, 10_000, 300)
    with _throttled(bench, runs, 1) as (url, ledger, queue):
        others = _others(url, ledger, queue, looks)
    with _throttled(bench, 2, keys) as (_, ledger, queue):
        idle = [_look(ledger, queue)[0] for _ in range(looks)]
    return {"behind_limit_ms_p99": percentile(others, 99), "throttled_keys_look_ms_p50": percentile(idle, 50)}


@contextmanager
def _throttled(bench: Bench, each: int, keys: int) -> Iterator[tuple[str, Ledger, int]]:
    """A ledger in which every key has its one slot taken."""
    with bench.database() as url:
        pool = Pool(url)
        try:
            ledger, queue = Ledger(pool), new_queue(url)
            ledger.set_limit(name="one", max_running=1, rate=None, burst=None)
            bench.say(f"{each * keys:,} runs behind the limits of {keys:,} keys")
            add_runs(url, queue, each, keys=keys, limit="one")
            taken = 0
            while taken < keys:
                taken += len(ledger.round({queue: 500}, "0").claimed)
            with connect(url) as cur:
                cur.execute("vacuum analyze")  # as autovacuum has done it by the time a million rows wait
            yield url, ledger, queue
        finally:
            pool.close()


def _look(ledger: Ledger, queue: int, floor: str = "0") -> tuple[float, list[str]]:
    """Milliseconds, and what it took."""
    began = time.perf_counter()
    given = ledger.round({queue: 64}, floor)
    return (time.perf_counter() - began) * 1000, [claim.run_id for claim in given.claimed]


def _others(url: str, ledger: Ledger, queue: int, count: int) -> list[float]:
    """Milliseconds from the commit of one run of another key to the end of the round that took it."""
    spent = []
    with connect(url) as cur:
        for number in range(count):
            cur.execute(
                "select rowlock.enqueue_v1(%s, 'noop', p_fairness_key => %s)::text",
                (QUEUE, f"other {number}"),
            )
            (run,) = cur.fetchone()
            milliseconds, taken = _look(ledger, queue)
            while run not in taken:
                more, taken = _look(ledger, queue)
                milliseconds += more
            spent.append(milliseconds)
    return spent
