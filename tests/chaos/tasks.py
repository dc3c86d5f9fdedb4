"""The task of the chaos harness: each attempt leaves its traces in an append-only file that Rowlock never
reads.
"""

import os
import time
from typing import Any

from rowlock_jobs.task import Retry, Run, task
from tests.chaos import tasklog

LOG_VARIABLE = "ROWLOCK_TEST_CHAOS_LOG"


def _note(run: Run, what: str) -> None:
    row = run.args
    tasklog.append(
        os.environ[LOG_VARIABLE], run.id, run.attempt, what, row["source"], row["id"], row["customer"]
    )


@task("chaos")
def chaos(run: Run) -> dict[str, Any]:
    """Does what the row says: takes its milliseconds, and writes in its finish transaction, begins an effect,
    or fails once.
    """
    _note(run, "begin")
    kind = run.args["kind"]
    if kind == "transaction":
        with run.transaction() as cursor:
            cursor.execute("insert into receipt(run, attempt) values (%s, %s)", (run.id, run.attempt))
    if kind == "effect":
        if not run.begin_effect(f"tell customer {run.args['customer']}"):
            raise Retry("this attempt may not act any more")
        _note(run, "effect")
    _take(run, run.args["millis"] / 1000)
    if kind == "fails" and run.tries == 0:
        _note(run, "fail")
        raise Retry("not at the first try", after_seconds=0.2)
    _note(run, "end")
    return {"attempt": run.attempt, "pid": os.getpid()}


def _take(run: Run, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        run.check()
        time.sleep(min(left, 0.5))
