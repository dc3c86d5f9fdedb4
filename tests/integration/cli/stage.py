"""What stands around a command: how it is called, and a worker that takes what there is."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from click.testing import Result

from tests.services.postgres import connect

Invoke = Callable[..., Result]


def enqueued(invoke: Invoke, *words: str, queue: str = "demo/documents") -> str:
    result = invoke("enqueue", queue, "process_document", *words)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


class Worker:
    """Claims everything there is and starts it under a lease of its own, as workers do."""

    def __init__(self, url: str) -> None:
        self.url, self.token = url, str(uuid4())
        self.runner = int(self._call("select rowlock.hello_v1('pod-7/1', 60)")[0][0])

    def _call(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with connect(self.url) as cur:
            cur.execute(statement, values)
            return list(cur.fetchall()) if cur.description else []

    def claim(self) -> list[tuple[str, int]]:
        return self._call(
            "select id::text, attempt from rowlock.round_v1(array(select id from rowlock.queue), array(select"
            " 100 from rowlock.queue)) where id is not null"
        )

    def start(self, claimed: list[tuple[str, int]]) -> None:
        ids, attempts = [run_id for run_id, _ in claimed], [attempt for _, attempt in claimed]
        self._call(
            "select * from rowlock.start_v1(%s::uuid[], %s, %s, %s)", ids, attempts, self.runner, self.token
        )

    def finish(
        self, run_id: str, outcome: str, *, attempt: int = 1, result: object = None, failure: object = None
    ) -> str:
        values = (
            [run_id],
            [attempt],
            self.token,
            [outcome],
            [result and json.dumps(result)],
            [failure and json.dumps(failure)],
        )
        return str(
            self._call(
                "select state from rowlock.finish_v1(%s::uuid[], %s, %s, %s, %s::jsonb[], %s::jsonb[])",
                *values,
            )[0][0]
        )

    def run(self, outcome: str, *, result: object = None, failure: object = None) -> None:
        claimed = self.claim()
        self.start(claimed)
        for run_id, attempt in claimed:
            self.finish(run_id, outcome, attempt=attempt, result=result, failure=failure)


BAD_ROW = {"class": "input", "reason": "NotPdf", "message": "the file 'a.pdf' is not a PDF"}
