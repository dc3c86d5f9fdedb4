"""A user's table, a dispatcher without Kubernetes, and a bare runner, for tests of the path from row to
outcome.
"""

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import redis

from rowlock_operator.dispatch.database import DatabaseDispatcher, DispatchSettings, LimitRule
from rowlock_operator.dispatch.state import QueueEntry
from rowlock_operator.rows.source_table import SourcePlan
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.services.postgres import connect

QUEUE = "default/orders"


def create_orders(url: str, *, rows: int = 0, customers: int = 10, index: bool = True) -> None:
    """An ordinary application's table; nothing in it knows of Rowlock."""
    with connect(url) as cur:
        cur.execute(
            "create table if not exists orders(id bigint generated always as identity primary key, customer"
            " text not null, amount numeric not null, status text not null default 'new', error text,"
            " created_at timestamptz not null default now())"
        )
        if index:
            cur.execute("create index if not exists orders_new on orders(id) where status = 'new'")
        add_orders(url, rows, customers=customers)


def add_orders(url: str, rows: int, *, customers: int = 10, customer: str | None = None) -> None:
    with connect(url) as cur:
        cur.execute(
            "insert into orders(customer, amount) select coalesce(%s, 'c' || i %% %s), i from"
            " generate_series(1, %s) i",
            (customer, customers, rows),
        )


def order_plan(**changes: Any) -> SourcePlan:
    values: dict[str, Any] = {
        "name": "default/orders",
        "schema": "public",
        "table": "orders",
        "key": "id",
        "pending": "status = 'new'",
        "order_by": (("id", False),),
        "arguments": (("order_id", "id"), ("amount", "amount")),
        "task": "bill",
        "status_column": "status",
        "claimed": "queued",
        "succeeded": "done",
        "failed": "failed",
        "error_column": "error",
    }
    return SourcePlan(**{**values, **changes})


def statuses(url: str) -> dict[str, int]:
    with connect(url) as cur:
        cur.execute("select status, count(*) from orders group by 1")
        return dict(cur.fetchall())


def run_states(url: str) -> dict[str, int]:
    with connect(url) as cur:
        cur.execute("select state, count(*) from rowlock.run group by 1")
        return dict(cur.fetchall())


@dataclass
class Bench:
    """A running dispatcher with one queue."""

    dispatcher: DatabaseDispatcher
    queue: QueueEntry
    launched: list[str] = field(default_factory=list)

    def source(self, plan: SourcePlan | None = None, rules: list[LimitRule] | None = None) -> None:
        self.dispatcher.register_source(
            plan or order_plan(), rules or [], queue_id=self.queue.queue_id, suspended=False
        )


@contextlib.contextmanager
def dispatching(
    url: str,
    redis_url: str,
    *,
    settings: DispatchSettings | None = None,
    jobs_mode: bool = False,
    retry: dict[str, Any] | None = None,
    ours: Callable[[str], bool] = lambda name: True,
) -> Iterator[Bench]:
    """A dispatcher of this database; its threads are ended."""
    queues = RedisQueues(redis_url)
    launched: list[str] = []
    dispatcher = DatabaseDispatcher(
        url,
        lambda: queues,
        settings or DispatchSettings(),
        launch=lambda d, queue, claims: launched.extend(c.run_id for c in claims),
        ours=ours,
    )
    dispatcher.migrate()
    entry = dispatcher.register_queue(
        QueueEntry(0, QUEUE, jobs_mode, False, 600),
        retry=retry or {},
        succeeded_seconds=86400,
        dead_seconds=86400,
    )
    dispatcher.start()
    try:
        yield Bench(dispatcher, entry, launched)
    finally:
        dispatcher.stop()
        queues.close()


class BareRunner:
    """The smallest thing that honours the fences: pops ids, starts, calls `work`, finishes. One thread; its
    own lease.
    """

    def __init__(
        self,
        url: str,
        redis_url: str,
        work: Callable[[dict[str, Any]], Any],
        *,
        queue: str = "default.orders",
        seconds_each: float = 0.0,
    ) -> None:
        self._url, self._redis_url, self._work, self._queue, self._pace = (
            url,
            redis_url,
            work,
            queue,
            seconds_each,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self.started: list[tuple[str, int]] = []
        self.refused = 0

    def __enter__(self) -> "BareRunner":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _loop(self) -> None:
        client = redis.Redis.from_url(self._redis_url)
        connection = psycopg2.connect(self._url)
        connection.autocommit = True
        token, runner, renewed = str(uuid.uuid4()), None, 0.0
        with connection.cursor() as cur:
            while not self._stop.is_set():
                if runner is None or time.monotonic() - renewed > 2:
                    cur.execute(
                        "select rowlock.hello_v1('bare', 10)"
                        if runner is None
                        else f"select alive from rowlock.renew_v1({runner}, 10)"
                    )
                    value = (cur.fetchone() or (None,))[0]
                    runner, renewed = (value if runner is None else runner), time.monotonic()
                try:
                    popped = client.blpop([f"rq:queue:{self._queue}"], 0.2)
                except redis.ConnectionError:
                    continue
                if not popped:
                    continue
                run_id, attempt = popped[1].decode().rsplit("-", 1)
                cur.execute(
                    "select args from rowlock.start_v1(array[%s::uuid], array[%s], %s, %s::uuid)",
                    (run_id, int(attempt), runner, token),
                )
                row = cur.fetchone()
                if row is None:
                    self.refused += 1
                    continue
                self.started.append((run_id, int(attempt)))
                self._stop.wait(self._pace)
                outcome, result, failure = "succeeded", None, None
                try:
                    result = self._work(row[0])
                except Exception as error:
                    outcome, failure = (
                        "failed",
                        json.dumps({"class": "app", "reason": type(error).__name__, "message": str(error)}),
                    )
                cur.execute(
                    "select * from rowlock.finish_v1(array[%s::uuid], array[%s], %s::uuid, array[%s],"
                    " array[%s::jsonb], array[%s::jsonb])",
                    (run_id, int(attempt), token, outcome, json.dumps(result), failure),
                )
        connection.close()
        client.close()
