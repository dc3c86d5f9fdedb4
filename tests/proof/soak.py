"""Innocent runs beside tasks that leak, fork, open, lock and die at random, on one queue with two workers.

`python -m tests.proof.soak [--seconds N] [--rate N] [--out FILE]`: every innocent run ends once and right,
and memory, descriptors, connections and Redis stay flat over the second half of its half an hour. Exit code 0
where that held.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.bench.dispatcher import dispatcher_process
from tests.services.postgres import PostgresServer, connect
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.rows import QUEUE, create_orders
from tests.services.worker import ROOT, RunningWorker, worker_environment

WORKERS = 2
HOSTILE_PART = 4  # of so many runs one is hostile
RETRY = {
    kind: {"limit": limit, "backoff_seconds": 0.5, "max_backoff_seconds": 2}
    for kind, limit in (("infra", 5), ("app", 3))
}
BACKLOG = 300  # runs that are not ended: no more are added meanwhile
# What a series may grow by over the second half and be called flat: this part of its median, or so much,
# whichever is more.
FLAT_PART = 0.10
FLAT_AT_LEAST = {
    "parent_mb": 1.0,
    "child_mb": 5.0,
    "parent_descriptors": 1.0,
    "child_descriptors": 5.0,
    "processes": 3.0,
    "postgres_connections": 3.0,
    "advisory_locks": 1.0,
    "redis_mb": 1.0,
    "redis_keys": 200.0,
    "redis_clients": 2.0,
}
_PACKAGES = os.pathsep.join(
    str(ROOT / folder) for folder in ("", "ledger", "operator", "jobimages")
)  # this tree's
_TABLES = """
create table receipt(run uuid not null, attempt int not null);
create index on receipt(run);
create table innocent(run uuid primary key, n bigint not null);
"""
_ADD = """
with made as (select n, rowlock.enqueue_v1(%(queue)s, 'innocent', jsonb_build_object('n', n)) as run
                from generate_series(%(first)s, %(last)s) n where n %% %(part)s <> 0),
     hostile as (select rowlock.enqueue_v1(%(queue)s, 'hostile')
                   from generate_series(%(first)s, %(last)s) n where n %% %(part)s = 0),
     noted as (insert into innocent(run, n) select run, n from made returning 1)
select (select count(*) from noted), (select count(*) from hostile)
"""
_WRONG = """
select i.run::text, coalesce(r.state, 'not known'), r.result, r.failure->>'reason', c.receipts
  from innocent i left join rowlock.run r on r.id = i.run
       cross join lateral (select count(*) as receipts from receipt where run = i.run) c
 where r.state is distinct from 'succeeded' or c.receipts <> 1
    or r.result is distinct from jsonb_build_object('square', i.n * i.n, 'met', '[]'::jsonb)
"""


@dataclass
class Soak:
    """What was seen. `series` has a value a sample each; `wrong` are innocent runs that did not end once and
    right.
    """

    seconds: float
    innocent: int = 0
    hostile: int = 0
    retried_innocents: int = 0
    hostile_ends: dict[str, int] = field(default_factory=dict)
    worker_restarts: int = 0
    left_behind: list[str] = field(default_factory=list)
    wrong: list[list[Any]] = field(default_factory=list)
    not_flat: list[str] = field(default_factory=list)
    growth: dict[str, float] = field(default_factory=dict)
    at: list[float] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in FLAT_AT_LEAST})

    @property
    def held(self) -> bool:
        return not (self.wrong or self.not_flat or self.left_behind or self.worker_restarts)


def growth(at: Sequence[float], values: Sequence[float]) -> float:
    """By how much a series grew over its second half, by the line of least squares through it."""
    half = len(at) // 2
    if len(at) - half < 3:
        return 0.0
    slope = statistics.linear_regression(at[half:], values[half:]).slope
    return slope * (at[-1] - at[half])


def is_flat(name: str, at: Sequence[float], values: Sequence[float]) -> bool:
    half = values[len(values) // 2 :]
    return growth(at, values) <= max(FLAT_PART * statistics.median(half or [0.0]), FLAT_AT_LEAST[name])


def measure(
    url: str, redis_url: str, folder: Path, *, seconds: float, rate: float, every_seconds: float = 5.0
) -> Soak:
    """`rate` runs a second for so long, a sample each `every_seconds`; then everything ends in order."""
    create_orders(url)
    with connect(url) as cursor, redis.Redis.from_url(redis_url) as store:
        cursor.execute(_TABLES)
        seen = Soak(seconds)
        with dispatcher_process(url, redis_url, retry=RETRY), _workers(url, redis_url, folder) as workers:
            began = sample_at = time.monotonic()
            until, added = began + seconds, 0
            while (now := time.monotonic()) < until:
                wanted = int((now - began) * rate) - added
                cursor.execute("select count(*) from rowlock.active")
                room = BACKLOG - cursor.fetchone()[0]
                if (count := min(wanted, room)) > 0:
                    values = {"queue": QUEUE, "first": added + 1, "last": added + count, "part": HOSTILE_PART}
                    cursor.execute(_ADD, values)
                    innocent, hostile = cursor.fetchone()
                    seen.innocent += innocent
                    seen.hostile += hostile
                    added += count
                if now >= sample_at:
                    sample_at += every_seconds
                    _sample(seen, now - began, workers, cursor, store, folder)
                time.sleep(0.1)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: _active(cursor) == 0, "every run ends", 120)
            seen.worker_restarts = sum(not worker.alive for worker in workers)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not _processes(folder), "nothing is left of the workers", 15)
        seen.left_behind = [_words(pid) for pid in _processes(folder)]
        _judge(seen, cursor)
        return seen


@contextlib.contextmanager
def _workers(url: str, redis_url: str, folder: Path) -> Iterator[list[RunningWorker]]:
    workers = []
    for number in range(WORKERS):
        environment = worker_environment(
            url=url, redis_url=redis_url, queue=QUEUE, folder=folder, tasks="innocent,hostile",
            rowlock_imports="tests.proof.soak_tasks", rowlock_soft_seconds="2", rowlock_hard_seconds="4",
            rowlock_alive_file=str(folder / f"alive-{number}"), pythonpath=_PACKAGES,
        )  # fmt: skip
        workers.append(RunningWorker(environment, folder / f"worker-{number}.log"))
    try:
        for worker in workers:
            worker.wait_ready()
        yield workers
        for worker in workers:
            worker.signal(15)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not any(worker.alive for worker in workers), "the workers leave", 30)
    finally:
        for worker in workers:
            worker.close()


def _sample(
    seen: Soak, at: float, workers: list[RunningWorker], cursor: Any, store: Any, folder: Path
) -> None:
    parents = [worker.pid for worker in workers if worker.alive]
    children = [child for worker in workers for child in worker.children()]
    cursor.execute("select count(*) from pg_stat_activity where datname = current_database()")
    connections = cursor.fetchone()[0]
    cursor.execute("select count(*) from pg_locks where locktype = 'advisory' and objid = %s", (7_070_707,))
    locks = cursor.fetchone()[0]
    info = store.info()
    values = {
        "parent_mb": _mean(_megabytes, parents),
        "child_mb": _mean(_megabytes, children),
        "parent_descriptors": _mean(_descriptors, parents),
        "child_descriptors": _mean(_descriptors, children),
        "processes": len(_processes(folder)),
        "postgres_connections": connections,
        "advisory_locks": locks,
        "redis_mb": info["used_memory"] / 1e6,
        "redis_keys": store.dbsize(),
        "redis_clients": info["connected_clients"],
    }
    seen.at.append(round(at, 1))
    for name, value in values.items():
        series = seen.series[name]
        series.append(round(float(value), 2) if value is not None else series[-1] if series else 0.0)


def _judge(seen: Soak, cursor: Any) -> None:
    cursor.execute(_WRONG)
    seen.wrong = [list(row) for row in cursor.fetchall()]
    cursor.execute("select count(*) from innocent i join rowlock.run r on r.id = i.run where r.attempt > 1")
    seen.retried_innocents = cursor.fetchone()[0]
    cursor.execute(
        "select case state when 'succeeded' then result#>>'{}' else concat(state, ': ', failure->>'reason')"
        " end, count(*) from rowlock.run where task = 'hostile' group by 1 order by 2 desc"
    )
    seen.hostile_ends = dict(cursor.fetchall())
    seen.growth = {name: round(growth(seen.at, values), 2) for name, values in seen.series.items()}
    seen.not_flat = [name for name, values in seen.series.items() if not is_flat(name, seen.at, values)]


def _active(cursor: Any) -> int:
    cursor.execute("select count(*) from rowlock.active")
    return int(cursor.fetchone()[0])


def _processes(folder: Path) -> list[int]:
    """Everything that descends from a worker: what has its environment, whoever is its parent by now."""
    mark, found = f"ROWLOCK_ALIVE_FILE={folder}".encode(), []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (each / "environ").read_bytes():
                found.append(int(each.name))
    return found


def _words(pid: int) -> str:
    with contextlib.suppress(OSError):
        return f"{pid}: {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
    return f"{pid}: gone"


def _mean(measured: Callable[[int], float], pids: list[int]) -> float | None:
    """Of the processes that still live; None where a child is just being replaced."""
    found = [value for pid in pids if (value := measured(pid))]
    return statistics.mean(found) if found else None


def _megabytes(pid: int) -> float:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
    return 0.0


def _descriptors(pid: int) -> float:
    with contextlib.suppress(OSError):
        return sum(1.0 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.proof.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--rate", type=float, default=20.0, help="runs a second")
    parser.add_argument("--out", type=Path, help="file for the figures; printed otherwise")
    parser.add_argument("--keep", action="store_true", help="keeps the folder with the workers' logs")
    chosen = parser.parse_args()
    postgres, server = PostgresServer(durable=True).start(), RedisServer().start()
    folder = Path(tempfile.mkdtemp(prefix="rowlock-soak-"))
    try:
        seen = measure(postgres.new_database(), server.url, folder, seconds=chosen.seconds, rate=chosen.rate)
    finally:
        server.stop()
        postgres.stop()
    figures = json.dumps({"held": seen.held, **asdict(seen)}) + "\n"
    if chosen.out:
        chosen.out.write_text(figures)
    else:
        print(figures)
    if chosen.keep:
        print(f"logs: {folder}")
    grew = ", ".join(seen.not_flat) or "nothing"
    print(f"soak: {seen.innocent} innocent runs, {len(seen.wrong)} of them wrong; what grew: {grew}")
    sys.exit(not seen.held)


if __name__ == "__main__":
    main()
