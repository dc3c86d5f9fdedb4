"""A thin way to speak to the ledger in tests: one runner with a token, and the functions as the contract
names them.
"""

import json
import uuid
from typing import Any

import psycopg2

QUEUE = "default/q"


class LedgerClient:
    def __init__(self, url: str, *, mode: str = "Workers", retry: dict[str, Any] | None = None) -> None:
        self.connection = psycopg2.connect(url)
        self.connection.autocommit = True
        self.token = str(uuid.uuid4())
        self.queue_id = self.value(
            "insert into rowlock.queue(name, mode, retry) values (%s, %s, %s) on conflict (name) do update"
            " set mode = excluded.mode returning id",
            QUEUE,
            mode,
            json.dumps(retry or {}),
        )
        self.runner = self.hello()

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cur:
            cur.execute(statement, values or None)
            return cur.fetchall() if cur.description else []

    def value(self, statement: str, *values: Any) -> Any:
        rows = self.rows(statement, *values)
        return rows[0][0] if rows else None

    def hello(self, lease_seconds: float = 10) -> int:
        return int(self.value("select rowlock.hello_v1('test', %s)", lease_seconds))

    def enqueue(
        self,
        *,
        key: str | None = None,
        fairness_key: str = "",
        limits: list[str] | None = None,
        priority: int = 0,
    ) -> str:
        return self.value(
            "select rowlock.enqueue_v1(%s, 't', '{}', %s, %s, %s, %s)::text",
            QUEUE,
            key,
            priority,
            fairness_key,
            limits or [],
        )

    def claim(self, n: int = 100) -> list[str]:
        return [
            row[0]
            for row in self.rows(
                "select id::text from rowlock.round_v1(array[%s], array[%s]) where id is not null",
                self.queue_id,
                n,
            )
        ]

    def start(
        self, run: str, attempt: int = 1, *, runner: int | None = None, token: str | None = None
    ) -> bool:
        return bool(
            self.rows(
                "select 1 from rowlock.start_v1(array[%s::uuid], array[%s], %s, %s::uuid)",
                run,
                attempt,
                runner or self.runner,
                token or self.token,
            )
        )

    def finish(
        self,
        run: str,
        attempt: int = 1,
        *,
        outcome: str = "succeeded",
        failure: dict[str, Any] | None = None,
        token: str | None = None,
    ) -> str | None:
        return self.value(
            "select state from rowlock.finish_v1(array[%s::uuid], array[%s], %s::uuid, array[%s],"
            " array[null::jsonb], array[%s::jsonb])",
            run,
            attempt,
            token or self.token,
            outcome,
            json.dumps(failure) if failure else None,
        )

    def running(self, **options: Any) -> str:
        """A run that this client's runner has started."""
        run = self.enqueue(**options)
        assert run in self.claim()
        assert self.start(run)
        return run

    def lapse(self) -> None:
        """This client's runner stops renewing."""
        self.rows(
            "update rowlock.runner set lease_until = clock_timestamp() - interval '1 s' where id = %s",
            self.runner,
        )

    def sweep(self, *, slow: bool = False) -> int:
        return int(self.value("select rowlock.sweep_v1(1000, %s)", slow))

    def state(self, run: str) -> str:
        return str(self.value("select state from rowlock.run where id = %s", run))

    def field(self, run: str, name: str) -> Any:
        return self.value(f"select {name} from rowlock.run where id = %s", run)

    def make_due(self) -> None:
        """Retries that wait become due now, as if their time had passed."""
        self.claim(0)  # takes the events in
        self.rows("update rowlock.active set due = clock_timestamp() where due is not null")
        self.rows("update rowlock.lane set at = clock_timestamp(), floor = '-infinity' where at is not null")

    def close(self) -> None:
        self.connection.close()
