"""Says each step with its seconds, so that a slow start explains itself."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tools.cluster.errors import ClusterError


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print `what` with the seconds it took once it has succeeded."""
    began = time.monotonic()
    yield
    say(f"{time.monotonic() - began:6.1f} s  {what}")


def say(line: str) -> None:
    """One line for the person at the terminal; standard output stays free for results."""
    print(line, file=sys.stderr, flush=True)


def wait_until(
    what: str,
    holds: Callable[[], bool],
    *,
    deadline_seconds: float,
    explain: Callable[[], str] = lambda: "",
    look_every_seconds: float = 0.1,
) -> None:
    """Return as soon as `holds()` is true.

    Raises ClusterError with `explain()` appended when that has not happened after `deadline_seconds`.
    """
    deadline = time.monotonic() + deadline_seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{what} did not happen within {deadline_seconds:g} seconds.\n{explain()}".rstrip()
            )
        time.sleep(look_every_seconds)
