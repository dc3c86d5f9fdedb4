"""Which blocks of a run's transaction are open: what a thread or a generator has written by half must not be
committed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rowlock_jobs.errors import FenceRefused


class OpenBlocks:
    """True while one is open. For the threads of one run."""

    def __init__(self) -> None:
        self._open: set[object] = set()

    def __bool__(self) -> bool:
        return bool(self._open)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around each block of the task's."""
        block = object()
        self._open.add(block)
        try:
            yield
        finally:
            self._open.discard(block)


def left_open(name: str) -> FenceRefused:
    """Why a transaction is not committed whose block `name` outlived its task."""
    return FenceRefused(
        f"a block of {name} was still open when the task returned (a thread, a generator or an exit stack"
        " holds it), and half of its writes is not committed: leave every block before the task returns"
    )
