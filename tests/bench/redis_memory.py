"""Ten minutes of runs at full rate with a Redis of 64 MB, as rows -> dispatcher -> Redis -> workers: what
ended must not fill it.

The short form gives Redis four megabytes more than it holds when it is empty, and runs more through it than
would fit if each stayed.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from psycopg2.extensions import cursor

from tests.bench.dispatcher import dispatcher_process
from tests.bench.frame import Bench, Target
from tests.bench.peer_tasks import STAMPS
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import add_orders, create_orders
from tests.services.worker import RunningWorker, worker_environment

NAME = "redis_memory"
KEYS = {
    "redis_peak_mb_at_full_rate": Target(
        "most that Redis held in ten minutes at full rate, of 64 MB", "MB", "lower", 16, 8
    ),
    "redis_memory_runs_per_s": Target("runs recorded meanwhile: two worker processes", "runs/s", "higher"),
}
ROUNDS = 1
_MB = 1_000_000
_DEADLINE_SECONDS = 60


def measure(bench: Bench) -> dict[str, float]:
    seconds, batch = (1.0, 500) if bench.quick else (600.0, 10_000)
    with (
        bench.database() as url,
        redis.Redis.from_url(bench.redis.url) as client,
        _bounded(client, bench.quick) as most,
    ):
        create_orders(url)
        stamps = bench.folder / "redis-memory-stamps"
        environment = worker_environment(
            url=url,
            redis_url=bench.redis.url,
            queue="default/orders",
            folder=bench.folder,
            tasks="noop",
            rowlock_imports="tests.bench.peer_rowlock",
            rowlock_processes="2",
            **{STAMPS.lower(): str(stamps)},
        )
        worker = RunningWorker(environment, bench.folder / "redis-memory.log")
        try:
            worker.wait_ready()
            with dispatcher_process(url, bench.redis.url, task="noop"), connect(url) as cur:
                return _full_rate(bench, client, cur, url, seconds=seconds, batch=batch, most=most)
        finally:
            worker.stop()
            worker.close()


def _full_rate(
    bench: Bench, client: "redis.Redis", cur: cursor, url: str, *, seconds: float, batch: int, most: int
) -> dict[str, float]:
    began, peak, added, told = time.monotonic(), 0, 0, 0.0

    def ended() -> int:
        nonlocal peak
        peak = max(peak, _used(client))
        cur.execute("select count(*) from rowlock.done where state = 'succeeded'")
        return int(cur.fetchone()[0])

    while (passed := time.monotonic() - began) < seconds:
        done = ended()
        if added - done < batch:
            add_orders(url, batch)
            added += batch
        if passed - told > 60:
            told = passed
            bench.say(f"{done:,} runs after {passed:.0f} s, Redis held {peak / _MB:.1f} MB at most")
        time.sleep(0.25)
    wait_until(lambda: ended() == added, f"all {added} runs are recorded", _DEADLINE_SECONDS)
    refused = client.info("errorstats").get("errorstat_OOM", {"count": 0})["count"]
    assert refused == 0, f"Redis was full {refused} times"
    assert peak < most, f"Redis held {peak} bytes of {most}"
    return {
        "redis_peak_mb_at_full_rate": peak / _MB,
        "redis_memory_runs_per_s": added / (time.monotonic() - began),
    }


def _used(client: "redis.Redis") -> int:
    return int(client.info("memory")["used_memory"])


@contextmanager
def _bounded(client: "redis.Redis", quick: bool) -> Iterator[int]:
    """Bytes that Redis may hold meanwhile."""
    most = _used(client) + 4 * _MB if quick else 64 * 1024 * 1024
    client.config_resetstat()
    client.config_set("maxmemory", most)
    try:
        yield most
    finally:
        client.config_set("maxmemory", 0)
