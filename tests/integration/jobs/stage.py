"""A small stage for worker tests: a ledger, a Redis, the operator's part played by its own SQL functions, and
real workers.
"""

import faulthandler
import json
import os
import pickle
import signal
import sys
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
import redis
from rq.utils import now, utcformat

import rowlock_jobs.wiring  # noqa: F401 - likewise
import tests.integration.jobs.tasks  # noqa: F401 - imported once here, not in every worker
from rowlock_jobs.__main__ import main
from tests.services.postgres import ask
from tests.services.process import wait_until

ROOT = Path(__file__).parents[3]
Program = Callable[[], int]  # a process's whole life; its exit code
QUEUE = "demo/jobs"
RQ_QUEUE = "demo.jobs"
ALL_TASKS = (
    "noop,echo,hold,hold_checking,raises,soft,dies,big,strange_result,progresses,writes,thinks,serializable,"
    "reads,queries,effect,unregistered"
)


class Stage:
    def __init__(self, database: str, redis_url: str, folder: Path) -> None:
        self.database, self.redis_url, self.folder = database, redis_url, folder
        self.redis = redis.Redis.from_url(redis_url)
        self.journal = folder / "journal"
        self.workers: list[WorkerProcess] = []
        retry = {
            c: {"limit": n, "backoff_seconds": 0.01, "max_backoff_seconds": 0.01}
            for c, n in (("infra", 5), ("app", 3), ("site", 5))
        }
        self.sql("insert into rowlock.queue(name, retry) values (%s, %s)", QUEUE, json.dumps(retry))
        self.sql("create table written(run uuid, attempt int)")

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return ask(self.database, statement, *parameters)

    # -- the operator's part
    # -------------------------------------------------------------------------------------------

    def enqueue(self, task: str, count: int = 1, **args: Any) -> list[str]:
        """Runs in the ledger, pending."""
        args = {"journal": str(self.journal), **args}
        rows = self.sql(
            "select rowlock.enqueue_v1(%s, %s, %s)::text from generate_series(1, %s)",
            QUEUE,
            task,
            json.dumps(args),
            count,
        )
        return [row[0] for row in rows]

    def dispatch(self, expected: int) -> list[str]:
        """Claims pending runs that are due and pushes their ids; waits until so many were claimed."""
        pushed: list[str] = []

        def enough() -> bool:
            rows = self.sql(
                "select id::text, attempt from rowlock.round_v1(array(select id from rowlock.queue),"
                " array[%s]) where id is not null",
                100_000,
            )
            ids = [f"{run_id}-{attempt}" for run_id, attempt in rows]
            self.push(ids)
            pushed.extend(ids)
            return len(pushed) >= expected

        wait_until(enough, f"{expected} runs claimed")
        return pushed

    def push(self, ids: Iterable[str]) -> None:
        """Ids as docs/contracts.md section 2 has them in Redis."""
        data = zlib.compress(pickle.dumps(("rowlock_jobs.worker.rq_compat.run", None, (), {}), protocol=2))
        with self.redis.pipeline() as pipeline:
            pipeline.sadd("rq:queues", f"rq:queue:{RQ_QUEUE}")
            for rq_id in ids:
                at = utcformat(now())
                fields: dict[str, Any] = {
                    "created_at": at,
                    "enqueued_at": at,
                    "data": data,
                    "origin": RQ_QUEUE,
                    "description": rq_id,
                }
                fields |= {"timeout": 600, "result_ttl": 3600, "failure_ttl": 3600, "status": "queued"}
                pipeline.hset(f"rq:job:{rq_id}", mapping=fields)
                pipeline.rpush(f"rq:queue:{RQ_QUEUE}", rq_id)
            pipeline.execute()

    def run(self, task: str, count: int = 1, **args: Any) -> list[str]:
        """Enqueued, claimed and pushed."""
        ids = self.enqueue(task, count, **args)
        self.dispatch(count)
        return ids

    def sweep(self) -> int:
        return int(self.sql("select rowlock.sweep_v1()")[0][0])

    # -- looking
    # -------------------------------------------------------------------------------------------------------

    def look(self, run_id: str) -> dict[str, Any]:
        """The run as users see it."""
        columns = "state, attempt, result, failure, progress, infra_tries, app_tries, site_tries, effect"
        row = self.sql(f"select {columns} from rowlock.run where id = %s", run_id)[0]
        return dict(zip(columns.split(", "), row, strict=True))

    def wait_state(self, run_id: str, *states: str, deadline_seconds: float = 15) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            found = self.look(run_id)
            return found if found["state"] in states else None

        found = wait_until(there, f"run {run_id} is {states}", deadline_seconds)
        assert isinstance(found, dict)
        return found

    def wait_ended(self, ids: list[str], deadline_seconds: float = 30) -> None:
        statement = "select count(*) from rowlock.done where id = any(%s::uuid[])"
        wait_until(
            lambda: self.sql(statement, ids)[0][0] == len(ids), f"{len(ids)} runs ended", deadline_seconds
        )

    def notes(self, text: str = "") -> list[str]:
        """Lines that tasks wrote."""
        if not self.journal.exists():
            return []
        return [line for line in self.journal.read_text().splitlines() if line.endswith(text)]

    def wait_note(self, text: str, count: int = 1) -> str:
        wait_until(lambda: len(self.notes(text)) >= count, f"{count} x {text!r} in the journal")
        return self.notes(text)[-1]

    # -- workers
    # -------------------------------------------------------------------------------------------------------

    def environment(self, **changes: str) -> dict[str, str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "ROWLOCK_DATABASE_URL": self.database,
            "ROWLOCK_REDIS_URL": self.redis_url,
            "ROWLOCK_QUEUE": QUEUE,
            "ROWLOCK_IMPORTS": "tests.integration.jobs.tasks",
            "ROWLOCK_TASKS": ALL_TASKS.replace(",unregistered", ""),
            "ROWLOCK_ALIVE_FILE": str(self.folder / "alive"),
        }
        return environment | {f"ROWLOCK_{name.upper()}": value for name, value in changes.items()}

    def worker(
        self,
        command: str = "run",
        *,
        ready: bool = True,
        fresh: bool = False,
        program: "Program | None" = None,
        **changes: str,
    ) -> "WorkerProcess":
        """A worker in a process of its own, listening (where `ready`). `program` is run there instead of the
        command.
        """
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = WorkerProcess(
            self.environment(**changes), log, program or (lambda: main([command])), command if fresh else None
        )
        self.workers.append(worker)
        if ready:
            worker.wait_event("worker_started")
        return worker

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.redis.close()


class WorkerProcess:
    """A session of its own: `program` in a fork of the test (which has everything imported), or a fresh
    interpreter's `fresh` command.
    """

    def __init__(
        self, environment: dict[str, str], log: Path, program: "Program", fresh: str | None = None
    ) -> None:
        self.log = log
        self._status: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                os.setsid()
                _leave_sockets()
                faulthandler.disable()  # pytest's; a task that dies by SIGSEGV is no news
                out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(out, 1)
                os.dup2(out, 2)
                os.chdir(ROOT)
                if fresh:
                    os.execve(sys.executable, [sys.executable, "-m", "rowlock_jobs", fresh], environment)
                sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
                os.environ.clear()
                os.environ.update(environment)
                code = program()
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)

    def events(self, name: str = "") -> list[dict[str, Any]]:
        text = self.log.read_text() if self.log.exists() else ""
        lines = [
            json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")
        ]
        return [line for line in lines if not name or line.get("event") == name]

    def wait_event(self, name: str, count: int = 1, deadline_seconds: float = 20) -> dict[str, Any]:
        def seen() -> bool:
            assert self.poll() is None or len(self.events(name)) >= count, self.log.read_text()
            return len(self.events(name)) >= count

        wait_until(seen, f"{count} x {name} logged", deadline_seconds)
        return self.events(name)[-1]

    def poll(self) -> int | None:
        """The exit code (minus the signal, where one killed it), or None while it lives."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9 of the parent alone."""
        self.send(signal.SIGKILL)
        self.wait()

    def wait(self, deadline_seconds: float = 20) -> int:
        """The exit code."""
        wait_until(lambda: self.poll() is not None, f"worker {self.pid} ended", deadline_seconds)
        assert self._status is not None
        return self._status

    def close(self) -> None:
        self.kill()


def _leave_sockets() -> None:
    """A fork holds the test's sockets (to Redis, to servers that are gone), which a worker's process would
    not. Not closed: their objects would close these numbers again, whoever has them by then.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                os.dup2(null, int(name))


def process_exists(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@contextmanager
def locked_run(database: str, run_id: str) -> Iterator[None]:
    """Holds the row lock of a run, so that a fence has to wait."""
    connection = psycopg2.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1 from rowlock.active where id = %s for update", (run_id,))
        yield
    finally:
        connection.rollback()
        connection.close()
