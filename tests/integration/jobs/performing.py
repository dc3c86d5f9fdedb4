"""Runs of the real ledger performed in this process: what the worker's child does with one run after another,
without its parent.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg2

from rowlock_jobs.fence.connection import FenceConnection
from rowlock_jobs.fence.ledger import Ledger
from rowlock_jobs.fence.pool import ConnectionPool
from rowlock_jobs.fence.session import TaskSession
from rowlock_jobs.fence.values import FinishedRun, RunId, RunnerToken, RunRef
from rowlock_jobs.outcome import Outcome
from rowlock_jobs.task import Run, _registry
from rowlock_jobs.worker.execute import TaskRuntime, execute_task
from rowlock_jobs.worker.soft_limit import SoftLimit

QUEUE = "demo/performed"
TOKEN = RunnerToken("00000000-0000-4000-8000-000000000001")
_names = count()


@dataclass(frozen=True)
class Ended:
    """What the ledger says of a run."""

    state: str
    result: Any
    failure: dict[str, Any] | None


class Performing:
    """A child's pool and the fences. `url`: the way to the database, through a pooler perhaps."""

    def __init__(self, database: str, url: str = "") -> None:
        self._connection = psycopg2.connect(database)
        self._connection.autocommit = True
        self._look = self._connection.cursor()
        self.pool = ConnectionPool(url or database)
        self._fences = Ledger(FenceConnection(database, "test"))
        retry = {c: {"limit": 3, "backoff_seconds": 3600} for c in ("infra", "app", "site")}
        self.sql("insert into rowlock.queue(name, retry) values (%s, %s)", QUEUE, json.dumps(retry))
        self.sql("create table if not exists written(what text)")
        self._runner = self._fences.hello(name="test", lease_seconds=600)

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        self._look.execute(statement, parameters or None)
        return list(self._look.fetchall()) if self._look.description else []

    @property
    def written(self) -> list[str]:
        return [str(row[0]) for row in self.sql("select what from written order by 1")]

    def run(self, function: Callable[[Run], Any], *, before_end: Callable[[], None] = lambda: None) -> Ended:
        """One run of that function, from its row to its outcome."""
        name = f"performed-{next(_names)}"
        _registry[name] = function  # for this run alone: workers of later tests list what is registered
        (run_id,) = self.sql("select rowlock.enqueue_v1(%s, %s)::text", QUEUE, name)[0]
        self.sql("select rowlock.round_v1(array(select id from rowlock.queue), array[100])")
        (started,) = self._fences.start([RunRef(RunId(run_id), 1)], runner=self._runner, token=TOKEN)
        session = TaskSession(self.pool)
        answer = execute_task(
            started, TaskRuntime(session, started.ref, TOKEN, lambda: False, lambda _: None), SoftLimit(600)
        )
        del _registry[name]
        if isinstance(answer, Outcome):
            self._fences.finish([FinishedRun(started.ref, answer)], token=TOKEN)
        before_end()
        session.end()
        found = self.sql("select state, result, failure from rowlock.run where id = %s", run_id)[0]
        return Ended(*found)

    def close(self) -> None:
        self.pool.close()
        self._fences.connection.close()
        self._connection.close()
