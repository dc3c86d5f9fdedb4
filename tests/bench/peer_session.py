"""A task that uses a session as tasks do, and, where the environment asks for it, a child that cleans nothing
between two runs.
"""

import os

from rowlock_jobs.fence.pool import BorrowedConnection
from rowlock_jobs.task import Run, task
from tests.bench.peer_tasks import note

LEFT_DIRTY = "ROWLOCK_BENCH_LEFT_DIRTY"
TASK = "bill_in_session"

if os.environ.get(LEFT_DIRTY):
    BorrowedConnection.clean = lambda self: not self.connection.closed  # type: ignore[method-assign]


@task(TASK)
def bill(run: Run) -> None:
    note()
    with run.transaction() as cursor:
        cursor.execute("update orders set amount = amount + 1 where id = %s", (run.args["order_id"],))
