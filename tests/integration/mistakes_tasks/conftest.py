"""A worker whose tasks misbehave, and a question to the process of the next run."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tests.integration.mistakes_tasks.bad_tasks  # noqa: F401 - imported once here, not in every worker
from tests.integration.jobs.stage import Stage, WorkerProcess
from tests.integration.mistakes_tasks.bad_tasks import NAMES
from tests.services.process import wait_until


class BadStage(Stage):
    """A stage whose workers know the tasks of `bad_tasks`. Each test has a worker of its own, so that nothing
    bad is left for the next one.
    """

    def environment(self, **changes: str) -> dict[str, str]:
        mine = {"imports": "tests.integration.mistakes_tasks.bad_tasks", "tasks": ",".join(NAMES)}
        return super().environment(**{**mine, **changes})

    def fails(self, task: str, deadline_seconds: float = 30, **args: Any) -> dict[str, Any]:
        """Runs the task and returns the failure of its first attempt."""
        (run_id,) = self.run(task, **args)
        wait_until(lambda: self.look(run_id)["failure"], f"{task} {args} fails", deadline_seconds)
        failure = self.look(run_id)["failure"]
        assert isinstance(failure, dict)
        return failure

    def works(self, task: str, deadline_seconds: float = 30, **args: Any) -> Any:
        """Runs the task and returns its result."""
        (run_id,) = self.run(task, **args)
        return self.wait_state(run_id, "succeeded", deadline_seconds=deadline_seconds)["result"]

    def the_next_run_is_well(self, worker: WorkerProcess) -> None:
        """Of the same parent, which never died."""
        assert self.works("describe")["parent"] == worker.pid
        assert worker.poll() is None


@pytest.fixture
def stage(database: str, redis_url: str, tmp_path: Path) -> Iterator[BadStage]:
    made = BadStage(database, redis_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def worker(stage: BadStage) -> WorkerProcess:
    """Soft limit 0.5 s, hard limit 3 s."""
    return stage.worker(soft_seconds="0.5", hard_seconds="3")


def grown_bytes(pid: int) -> int:
    """How much a worker held at most beyond what it was forked with: this process, which has whatever the
    tests before needed.
    """
    return memory_bytes(pid) - memory_bytes(os.getpid(), "VmRSS")


def memory_bytes(pid: int, what: str = "VmHWM") -> int:
    """Resident memory of a process: VmRSS now, VmHWM at its highest."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))
