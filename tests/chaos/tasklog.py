"""The file that every attempt leaves its traces in: written by tasks and programs, read by the checks."""

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Line:
    """One trace of one attempt; `at` is Unix time in seconds."""

    at: float
    run: str
    attempt: int
    pid: int
    what: str  # begin | effect | fail | end
    source: str
    row: int
    customer: str


def append(path: str, run: str, attempt: int, what: str, source: str, row: object, customer: str) -> None:
    """One line, one write: the kernel keeps it when the process is killed, and lines of several processes
    never mix.
    """
    line = f"{time.time():.6f} {run} {attempt} {os.getpid()} {what} {source} {row} {customer}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line.encode())
    os.close(descriptor)


class TaskLog:
    """Reads on from where it was; a line that is not whole yet is left for the next time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[Line] = []
        self._offset = 0

    def read(self) -> list[Line]:
        """Every line so far."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._offset)
                whole, newline, _ = file.read().rpartition(b"\n")
            self._offset += len(whole) + len(newline)
            self.lines += [_parsed(text) for text in whole.decode().splitlines()]
        return self.lines

    def busy(self) -> set[int]:
        """Processes that began an attempt and did not come to its end (some of them are dead)."""
        last = {line.pid: line.what for line in self.read()}
        return {pid for pid, what in last.items() if what in ("begin", "effect")}


def _parsed(text: str) -> Line:
    at, run, attempt, pid, what, source, row, customer = text.split(" ")
    return Line(float(at), run, int(attempt), int(pid), what, source, int(row), customer)
