"""The comparison's task as Rowlock runs it."""

from rowlock_jobs.task import Run, task
from tests.bench.peer_tasks import note


@task("noop")
def noop(run: Run) -> None:
    note()
