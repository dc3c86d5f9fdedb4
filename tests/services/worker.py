"""`rowlock-worker run` as a process of its own, and what its tasks wrote into their journal."""

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.services.process import wait_until

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Line:
    """One line of the journal."""

    run: str
    attempt: int
    pid: int
    what: str  # begin | end


class Journal:
    """The file that tasks of tests.services.journal_tasks append to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self, what: str = "begin") -> list[Line]:
        if not self.path.exists():
            return []
        found = [text.split() for text in self.path.read_text().splitlines()]
        return [Line(run, int(attempt), int(pid), said) for run, attempt, pid, said in found if said == what]


class RunningWorker:
    """A worker parent and its child; `kill` and `kill_child` are kill -9, of one process each."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "rowlock_jobs", "run"]
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=ROOT,
                start_new_session=True,
            )
        self._children: set[int] = set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def children(self) -> list[int]:
        with contextlib.suppress(OSError):
            found = [
                int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            ]
            self._children.update(found)
            return found
        return []

    def wait_ready(self) -> "RunningWorker":
        def ready() -> bool:
            assert self.alive, f"the worker ended:\n{self.log.read_text()[-2000:]}"
            return '"worker_started"' in self.log.read_text()

        wait_until(ready, f"worker {self.pid} listens", 30)
        return self

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9 of the parent; its child ends by itself."""
        self.children()
        self._process.kill()
        self._process.wait(10)

    def kill_child(self) -> bool:
        """kill -9 of the child; False where there is none at the moment."""
        for pid in self.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def stop(self, deadline_seconds: float = 20) -> int:
        """Orderly; the exit code."""
        self._process.terminate()
        return self._process.wait(deadline_seconds)

    def close(self) -> None:
        self.children()
        if self.alive:
            self._process.kill()
            self._process.wait(10)
        for pid in self._children:
            wait_until(partial(_gone, pid), f"the child {pid} of a killed worker ends by itself", 10)


def _gone(pid: int) -> bool:
    """Whether the process ended (its id may be somebody else's by now)."""
    try:
        return b"rowlock_jobs" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def worker_environment(
    *,
    url: str,
    redis_url: str,
    queue: str,
    folder: Path,
    tasks: str = "bill,count,hold,fails",
    **changes: str,
) -> dict[str, str]:
    """Variables of docs/contracts.md section 3, and those of the journal; `changes` by name in lower case."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "ROWLOCK_DATABASE_URL": url,
        "ROWLOCK_REDIS_URL": redis_url,
        "ROWLOCK_QUEUE": queue,
        "ROWLOCK_IMPORTS": "tests.services.journal_tasks",
        "ROWLOCK_TASKS": tasks,
        "ROWLOCK_ALIVE_FILE": str(folder / "alive"),
        "ROWLOCK_TEST_JOURNAL": str(folder / "journal"),
        "ROWLOCK_TEST_RELEASE": str(folder / "release"),
        **{name.upper(): value for name, value in changes.items()},
    }
