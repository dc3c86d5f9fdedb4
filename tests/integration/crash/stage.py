"""A user's table, real workers, a dispatcher that dies, and what must be true when the dust has settled."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg2
import redis

from rowlock_operator.transport.redis_queues import rq_queue_name
from tests.services.crashing_dispatcher import Crashing
from tests.services.postgres import PostgresServer, ask
from tests.services.process import wait_until
from tests.services.redis import RedisServer
from tests.services.rows import QUEUE, create_orders, statuses
from tests.services.worker import ROOT, Journal, RunningWorker, worker_environment


class CrashStage:
    """Everything started here is ended by `close`, by process id."""

    def __init__(self, postgres: PostgresServer, redis_server: RedisServer, folder: Path) -> None:
        self.postgres, self.redis, self.folder = postgres, redis_server, folder
        self.url = postgres.new_database()
        self.journal = Journal(folder / "journal")
        self.deaths_file = folder / "deaths"
        self.workers: list[RunningWorker] = []
        self._dispatchers: list[subprocess.Popen[bytes]] = []
        self._logs = 0
        self.sql("create table bill(run uuid not null, attempt int not null, order_id bigint not null)")

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return ask(self.url, statement, *parameters)

    def orders(self, rows: int) -> None:
        create_orders(self.url, rows=rows)

    def _log(self, what: str) -> Path:
        self._logs += 1
        return self.folder / f"{what}-{self._logs}.log"

    def dispatcher(self, *steps: str, **changes: Any) -> subprocess.Popen[bytes]:
        """A dispatcher process that dies at these steps, and its successors; returns once it works."""
        started = self.dispatcher_events().count("started")
        crashing = Crashing(
            url=self.url,
            redis_url=self.redis.url,
            journal=str(self.deaths_file),
            steps=list(steps),
            **changes,
        )
        command = [sys.executable, "-m", "tests.services.crashing_dispatcher", json.dumps(asdict(crashing))]
        with self._log("dispatcher").open("ab") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT, start_new_session=True
            )
        self._dispatchers.append(process)
        wait_until(lambda: self.dispatcher_events().count("started") > started, "the dispatcher works", 30)
        return process

    def stop_dispatcher(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        process.wait(10)

    def dispatcher_events(self) -> list[str]:
        return self.deaths_file.read_text().splitlines() if self.deaths_file.exists() else []

    def deaths(self) -> Counter[str]:
        """How often the dispatcher died at each step."""
        return Counter(line for line in self.dispatcher_events() if line != "started")

    def worker(self, *, ready: bool = True, **changes: str) -> RunningWorker:
        environment = worker_environment(
            url=self.url, redis_url=self.redis.url, queue=QUEUE, folder=self.folder, **changes
        )
        worker = RunningWorker(environment, self._log("worker"))
        self.workers.append(worker)
        return worker.wait_ready() if ready else worker

    def lapse(self, worker: RunningWorker) -> None:
        """Time passes for the lease of a worker that is dead: its ten seconds are over."""
        assert not worker.alive
        self.sql(
            "update rowlock.runner set lease_until = clock_timestamp() - interval '1 second' where"
            " split_part(name, '.', 2) = %s",
            str(worker.pid),
        )

    def wait_done(self, rows: int, deadline_seconds: float) -> None:
        wait_until(
            lambda: self._statuses() == {"done": rows}, f"all {rows} orders are done", deadline_seconds
        )

    def ended(self) -> int:
        return self._statuses().get("done", 0)

    def _statuses(self) -> dict[str, int]:
        """Orders by status; {} while the database is away."""
        try:
            return statuses(self.url)
        except psycopg2.OperationalError:
            return {}

    def copies(self) -> int:
        """Ids in Redis that wait for a worker."""
        with redis.Redis.from_url(self.redis.url) as client:
            return int(client.llen(f"rq:queue:{rq_queue_name(QUEUE)}"))

    def idle(self) -> bool:
        """Whether every attempt that began has ended."""
        return len(self.journal.lines("begin")) == len(self.journal.lines("end"))

    def violations(self, rows: int) -> list[str]:
        """What is wrong, seen from outside: the users' table, the tasks' own log, the history. Empty = every
        invariant holds.
        """
        found: list[str] = []

        def must(what: str, right: bool, detail: object = "") -> None:
            if not right:
                found.append(f"{what} {detail}".strip())

        begun = Counter((line.run, line.attempt) for line in self.journal.lines())
        must("unfinished rows:", self._statuses() == {"done": rows}, self._statuses())
        must(
            "attempts started twice:",
            not [a for a, n in begun.items() if n > 1],
            [a for a, n in begun.items() if n > 1][:3],
        )
        done = self.sql("select id::text, attempt, state, source_key, result from rowlock.done")
        must(
            "history is not one row a run:",
            len(done) == len({d[0] for d in done}) == len({d[3] for d in done}) == rows,
            len(done),
        )
        must("not succeeded:", all(d[2] == "succeeded" for d in done), Counter(d[2] for d in done))
        must("runs left in hand:", self.sql("select count(*) from rowlock.active") == [(0,)])
        must("outcomes not told:", self.sql("select count(*) from rowlock.outbox") == [(0,)])
        who = {(line.run, line.attempt, line.pid) for line in self.journal.lines("end")}
        told = [(d[0], d[1], (d[4] or {}).get("attempt"), (d[4] or {}).get("pid")) for d in done]
        must(
            "outcome of another attempt:",
            all(attempt == by for _, attempt, by, _ in told),
            [t for t in told if t[1] != t[2]][:3],
        )
        must(
            "outcome of a process that did not do it:",
            all((run, attempt, pid) in who for run, attempt, _, pid in told),
        )
        bills = self.sql("select run::text, attempt from bill")
        must(
            "bills are not those of the attempts that counted:",
            sorted(bills) == sorted((d[0], d[1]) for d in done),
            (len(bills), len(done)),
        )
        return found

    def close(self) -> None:
        for process in self._dispatchers:
            if process.poll() is None:
                self.stop_dispatcher(process)
        for worker in self.workers:
            worker.close()
