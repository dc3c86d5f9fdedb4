"""The processes under fire. Like pods of a Deployment, what ends is started again."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.services.worker import ROOT

RESTART_SECONDS = 1.0  # as a kubelet does after a first crash


class Member:
    """One place in the crew, and the process that holds it now; `lives` are the process ids it has had."""

    def __init__(
        self, name: str, role: str, command: list[str], environment: dict[str, str], log: Path
    ) -> None:
        self.name, self.role, self.log = name, role, log
        self._command, self._environment = command, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._children: set[int] = set()
        self._dead_since: float | None = None
        self._expected = False
        self.retired = False
        self.held = False  # frozen at the moment
        self.lives = 0
        self.ended_by_itself: list[int] = []  # exit codes

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._command],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environment,
                cwd=ROOT,
                start_new_session=True,
            )
        self.lives += 1
        self._dead_since, self._expected, self.held = None, False, False

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def children(self) -> list[int]:
        """Direct children at the moment."""
        found = children_of(self.pid)
        self._children.update(found)
        return found

    def tend(self) -> None:
        """Starts it again a moment after its end."""
        if self.retired:
            return
        if self.alive:
            self.children()
            return
        now = time.monotonic()
        if self._dead_since is None:
            self._dead_since = now
            if self._process is not None and not self._expected:
                self.ended_by_itself.append(self._process.returncode)
        elif now - self._dead_since > RESTART_SECONDS:
            self.start()

    def kill(self) -> None:
        """kill -9."""
        self._expected = True
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def kill_with(self, children: list[int]) -> None:
        """What the kernel does for memory to a container under cgroup v2: all of its processes end at
        once.
        """
        self._expected = True
        kill_together([self.pid, *children])
        if self._process is not None:
            self._process.wait(10)

    def freeze(self, pids: list[int]) -> None:
        self.held = True
        signal_all(pids, signal.SIGSTOP)

    def thaw(self, pids: list[int]) -> None:
        signal_all(pids, signal.SIGCONT)
        self.held = False

    def terminate(self) -> None:
        """Asks for an orderly end, and leaves the place empty."""
        self.retired = True
        if self.alive and self._process is not None:
            self._process.terminate()

    def close(self) -> None:
        """Ends it and whatever it left behind."""
        self.retired = True
        if self.alive:
            self.children()
            self.kill()
        signal_all([pid for pid in self._children if _is_ours(pid)], signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_together(pids: list[int]) -> None:
    """None of them sees the end of another."""
    signal_all(pids, signal.SIGSTOP)
    signal_all(pids, signal.SIGKILL)


def _is_ours(pid: int) -> bool:
    """A process id may be somebody else's by now."""
    with contextlib.suppress(OSError):
        return b"rowlock_jobs" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
