"""Tasks of the bench."""

import os
import time

from rowlock_jobs.task import Run, task


@task("stamp")
def stamp(run: Run) -> None:
    """Says when its first line ran: `<id of the row> <nanoseconds of the wall clock>`."""
    at = time.time_ns()
    descriptor = os.open(os.environ["ROWLOCK_BENCH_STAMPS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{run.args['order_id']} {at}\n".encode())
    os.close(descriptor)
