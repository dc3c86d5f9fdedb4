"""The task of the chaos harness: each attempt leaves its traces in an append-only file that Rowlock never reads."""

import os
import time
from typing import Any

from rowlock_jobs.task import Retry, Run, task

LOG_VARIABLE = "ROWLOCK_TEST_CHAOS_LOG"


def _note(run: Run, what: str) -> None:
    """One line, one write: the kernel keeps it when the process is killed, and lines of several processes never mix."""
    row = run.args
    line = f"{time.time():.6f} {run.id} {run.attempt} {os.getpid()} {what} {row['source']} {row['id']} {row['customer']}\n"
    descriptor = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line.encode())
    os.close(descriptor)


@task("chaos")
def chaos(run: Run) -> dict[str, Any]:
    """Does what the row says: takes its milliseconds, and writes in its finish transaction, begins an effect, or fails once."""
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
