"""One attempt of a run against a real ledger, in this process: claimed, started and finished by the ledger's
own functions.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg2

from rowlock_jobs.outcome import Outcome, from_exception, succeeded
from rowlock_jobs.task import Run, find_task
from tests.services.postgres import connect

QUEUE = "demo/documents"


def worker_login(url: str) -> str:
    """URL of a login that has the group role rowlock_worker and nothing else."""
    with connect(url) as cur:
        cur.execute("select 1 from pg_roles where rolname = 'a_worker'")
        if not cur.fetchone():
            cur.execute("create role a_worker login in role rowlock_worker")
    return url.replace("//postgres@", "//a_worker@")


def enqueue(url: str, task: str, args: dict[str, Any]) -> str:
    """A run, and its queue where there is none yet."""
    with connect(url) as cur:
        # a lost run is due again at once
        retry = json.dumps({"infra": {"limit": 5, "backoff_seconds": 0, "max_backoff_seconds": 0}})
        cur.execute(
            "insert into rowlock.queue(name, retry) values (%s, %s) on conflict do nothing", (QUEUE, retry)
        )
        cur.execute("select rowlock.enqueue_v1(%s, %s, %s)::text", (QUEUE, task, json.dumps(args)))
        return str(cur.fetchone()[0])


class LedgerAttempt:
    """Claims and starts the next attempt of a run; `perform` calls the task and finishes it."""

    def __init__(self, url: str, run_id: str) -> None:
        self.url = url
        self.worker_url = worker_login(url)
        self.token = str(uuid4())
        self.reports: list[dict[str, Any]] = []
        self.cancel_after: int | None = None
        self.before_finish: Callable[[], None] = lambda: None
        self._transaction: Any = None
        with connect(url) as cur:
            cur.execute(
                "select id, attempt from rowlock.round_v1(array(select id from rowlock.queue), array[1000])"
                " where id is not null"
            )
            cur.execute("select attempt from rowlock.active where id = %s", (run_id,))
            attempt = cur.fetchone()[0]
        with connect(self.worker_url) as cur:
            cur.execute("select rowlock.hello_v1('a test')")
            self.runner = cur.fetchone()[0]
            cur.execute(
                "select * from rowlock.start_v1(%s::uuid[], %s, %s, %s)",
                ([run_id], [attempt], self.runner, self.token),
            )
            row = cur.fetchone()
        assert row, f"{run_id}-{attempt} could not be started"
        self.run = Run(
            row[0],
            row[1],
            row[2],
            row[4],
            row[3],
            row[5],
            row[6],
            logging.LoggerAdapter(logging.getLogger("test")),
            self,
        )

    def cancelled(self) -> bool:
        return self.cancel_after is not None and len(self.reports) >= self.cancel_after

    def progress(self, progress_json: str) -> None:
        self.reports.append(json.loads(progress_json))

    def begin_effect(self, effect: str) -> bool:
        raise AssertionError(f"documents have no outside effect, but {effect} was begun")

    def end_effect(self, result_json: str | None) -> bool:
        raise AssertionError("no effect was begun")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        if self._transaction is None:
            self._transaction = psycopg2.connect(self.worker_url)
        with self._transaction.cursor() as cur:
            yield cur

    @contextlib.contextmanager
    def connection(self) -> Iterator[Any]:
        connection = psycopg2.connect(self.worker_url)
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def perform(self) -> tuple[Outcome, str | None]:
        """The outcome of the task, and the state the fence gave the run (None: refused, and everything rolled
        back).
        """
        function = find_task(self.run.task)
        assert function, f"no task {self.run.task} is registered"
        try:
            outcome = succeeded(function(self.run))
        except Exception as error:
            outcome = from_exception(error)
        self.before_finish()
        if outcome.kind != "succeeded" and self._transaction:
            self._transaction.rollback()
        with self.transaction() as cur:
            cur.execute(
                "select state from rowlock.finish_v1(%s::uuid[], %s, %s, %s, %s::jsonb[], %s::jsonb[])",
                (
                    [self.run.id],
                    [self.run.attempt],
                    self.token,
                    [outcome.kind],
                    [outcome.result],
                    [outcome.failure],
                ),
            )
            row = cur.fetchone()
        if row:
            self._transaction.commit()
        else:
            self._transaction.rollback()
        self._transaction.close()
        self._transaction = None
        return outcome, row[0] if row else None
