"""Tasks of the operator and crash tests: each attempt leaves a line when it begins and one when it ends, in a
file that outlives every kill.
"""

import os
import time

from rowlock_jobs.task import Permanent, Retry, Run, task


def _note(run: Run, what: str) -> None:
    """One line, one write: whole lines from several processes, kept by the kernel when the process is
    killed.
    """
    descriptor = os.open(os.environ["ROWLOCK_TEST_JOURNAL"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{run.id} {run.attempt} {os.getpid()} {what}\n".encode())
    os.close(descriptor)


@task("bill")
def bill(run: Run) -> dict[str, int]:
    """Writes its bill in the finish transaction; takes `ROWLOCK_TEST_TASK_SECONDS`."""
    _note(run, "begin")
    with run.transaction() as cursor:
        cursor.execute(
            "insert into bill(run, attempt, order_id) values (%s, %s, %s)",
            (run.id, run.attempt, run.args["order_id"]),
        )
    time.sleep(float(os.environ.get("ROWLOCK_TEST_TASK_SECONDS", "0")))
    _note(run, "end")
    return {"attempt": run.attempt, "pid": os.getpid()}


@task("count")
def count(run: Run) -> dict[str, int]:
    """Touches nothing but the journal."""
    _note(run, "begin")
    time.sleep(float(os.environ.get("ROWLOCK_TEST_TASK_SECONDS", "0")))
    _note(run, "end")
    return {"attempt": run.attempt, "pid": os.getpid()}


@task("hold")
def hold(run: Run) -> dict[str, int]:
    """Goes on until the file `ROWLOCK_TEST_RELEASE` exists."""
    _note(run, "begin")
    while not os.path.exists(os.environ["ROWLOCK_TEST_RELEASE"]):
        run.check()
        time.sleep(0.01)
    _note(run, "end")
    return {"attempt": run.attempt, "pid": os.getpid()}


@task("fails")
def fails(run: Run) -> None:
    _note(run, "begin")
    raise Permanent("no such customer") if run.args.get("permanent") else Retry("again", after_seconds=0.1)
