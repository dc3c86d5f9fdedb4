"""Rows of a user's table -> dispatcher -> Redis -> worker with both fences, durable commits, the status
written back; beside what others do with the same task on the same servers in the same round. Their messages
are in the queue before the clock starts; Rowlock's are not.

Every rate is that of the middle 80 % of the runs, by the stamps that the tasks themselves leave.
"""

import contextlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import redis
from rq import Queue

from tests.bench.dispatcher import dispatcher_process
from tests.bench.frame import Bench, Target
from tests.bench.peer_tasks import STAMPS, note
from tests.services.postgres import connect
from tests.services.process import wait_until
from tests.services.rows import create_orders, statuses
from tests.services.worker import ROOT, RunningWorker, worker_environment

NAME = "end_to_end"
KEYS = {
    "end_to_end_runs_per_s_2": Target(
        "rows to recorded outcomes, both fences, durable: two worker processes",
        "runs/s",
        "higher",
        1200,
        6000,
    ),
    "end_to_end_to_celery_ratio_2": Target(
        "the same against Celery's prefork pool in the same round", "x", "higher", 3
    ),
    "end_to_end_runs_per_s_1": Target("the same with one worker process", "runs/s", "higher"),
    "celery_runs_per_s_2": Target(
        "Celery, prefork, acks late, prefetch 1, results in Redis: two processes", "runs/s", "higher"
    ),
    "rq_worker_runs_per_s_2": Target("RQ, rq.Worker: two processes", "runs/s", "higher"),
    "rq_simple_runs_per_s_2": Target("RQ, rq.SimpleWorker: two processes", "runs/s", "higher"),
}
ROUNDS = 3
CELERY = ["celery[redis]==5.7.0", "hiredis"]
_DEADLINE_SECONDS = 60


def measure(bench: Bench) -> dict[str, float]:
    sizes = (40, 40, 40, 12, 20) if bench.quick else (6_000, 16_000, 3_000, 400, 1_500)
    one, two = rowlock(bench, sizes[0], 1), rowlock(bench, sizes[1], 2)
    celery_rate = celery(bench, sizes[2])
    return {
        "end_to_end_runs_per_s_1": one,
        "end_to_end_runs_per_s_2": two,
        "celery_runs_per_s_2": celery_rate,
        "end_to_end_to_celery_ratio_2": two / celery_rate,
        "rq_worker_runs_per_s_2": rq(bench, sizes[3], "rq.Worker"),
        "rq_simple_runs_per_s_2": rq(bench, sizes[4], "rq.SimpleWorker"),
    }


def rowlock(
    bench: Bench,
    count: int,
    processes: int,
    *,
    task: str = "noop",
    imports: str = "tests.bench.peer_rowlock",
    **environment: str,
) -> float:
    """Runs a second with so many worker processes; every row is done at the end, each by one run that began
    once.
    """
    with bench.database() as url, _stamps(bench) as stamps:
        create_orders(url, rows=count)
        variables = worker_environment(
            url=url,
            redis_url=bench.redis.url,
            queue="default/orders",
            folder=bench.folder,
            tasks=task,
            rowlock_imports=imports,
            rowlock_processes=str(processes),
            **{STAMPS.lower(): str(stamps)},
            **environment,
        )
        worker = RunningWorker(variables, bench.folder / f"{stamps.name}.log")
        try:
            worker.wait_ready()
            with dispatcher_process(url, bench.redis.url, task=task):
                _wait_stamps(stamps, count)
                wait_until(
                    lambda: statuses(url) == {"done": count}, f"{count} rows are done", _DEADLINE_SECONDS
                )
        finally:
            worker.stop()
            worker.close()
        with connect(url) as cur:
            cur.execute("select count(*), max(attempt) from rowlock.done where state = 'succeeded'")
            assert cur.fetchone() == (count, 1)
        return _rate(stamps, count)


def celery(bench: Bench, count: int) -> float:
    python = _celery_python(bench)
    bench.redis.flush()
    with _stamps(bench) as stamps:
        environment = _environment(stamps) | {"ROWLOCK_BENCH_REDIS": bench.redis.url}
        subprocess.run(
            [python, "-m", "tests.bench.peer_celery", str(count)], env=environment, cwd=ROOT, check=True
        )
        command = [
            python,
            "-m",
            "celery",
            "-A",
            "tests.bench.peer_celery",
            "worker",
            "-Q",
            "bench",
            "--pool",
            "prefork",
            "-c",
            "2",
        ]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
        with _running(command, environment, stamps):
            _wait_stamps(stamps, count)
        return _rate(stamps, count)


def rq(bench: Bench, count: int, worker_class: str) -> float:
    bench.redis.flush()
    with _stamps(bench) as stamps, redis.Redis.from_url(bench.redis.url) as client:
        queue = Queue("bench", connection=client)
        queue.enqueue_many([Queue.prepare_data(note, result_ttl=300) for _ in range(count)])
        command = [
            str(Path(sys.executable).with_name("rq")),
            "worker",
            "-u",
            bench.redis.url,
            "-w",
            worker_class,
            "-q",
            "bench",
        ]
        with _running(command, _environment(stamps), stamps), _running(command, _environment(stamps), stamps):
            _wait_stamps(stamps, count)
        return _rate(stamps, count)


def _rate(stamps: Path, count: int) -> float:
    """Runs a second between the tenth and the ninetieth percent of the runs."""
    data = stamps.read_bytes()
    times = sorted(int.from_bytes(data[at : at + 8], "big") for at in range(0, len(data), 16))
    assert len(times) == count, f"{len(times)} tasks ran for {count} runs"
    first, last = count // 10, count * 9 // 10
    return (last - first) / (times[last] - times[first]) * 1e9


def _wait_stamps(stamps: Path, count: int) -> None:
    wait_until(
        lambda: stamps.exists() and stamps.stat().st_size >= 16 * count,
        f"{count} tasks ran",
        _DEADLINE_SECONDS,
    )


@contextlib.contextmanager
def _stamps(bench: Bench) -> Iterator[Path]:
    path = bench.folder / f"stamps-{len(list(bench.folder.iterdir()))}"
    yield path
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str], stamps: Path) -> Iterator[None]:
    """A worker of another system and all its processes; ended without ceremony, since what is left in its
    queue is nothing.
    """
    with stamps.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _environment(stamps: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": str(ROOT),
        STAMPS: str(stamps),
    }


def _celery_python(bench: Bench) -> str:
    """An interpreter with Celery, which pins a library that our own environment needs in another version."""
    folder = Path.home() / ".cache/rowlock/bench-celery"
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        bench.say("installing Celery into an environment of its own (once)")
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *CELERY], check=True)
        (folder / "ready").touch()
    return str(python)
