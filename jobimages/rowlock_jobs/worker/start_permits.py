"""Who may begin a run that was handed to the child: a counter in the kernel, from which either the child
takes a permit or the parent takes it back, never both. What the parent got back was not begun and never will
be, whatever the child does or has done.
"""

import os
from contextlib import suppress


class StartPermits:
    """Made before the fork, used on both sides."""

    def __init__(self) -> None:
        self._counter = os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.done = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def grant(self, count: int) -> None:
        """Parent: the child may begin so many runs more."""
        os.eventfd_write(self._counter, count)

    def take(self) -> bool:
        """One permit, for the child's next run or back into the parent's hands. False: there is none."""
        try:
            os.eventfd_read(self._counter)
        except BlockingIOError:
            return False
        return True

    def take_back(self) -> int:
        """Parent: how many runs the child will not begin any more, the last ones of those it was handed."""
        count = 0
        while self.take():
            count += 1
        return count

    def say_done(self) -> None:
        """Child: everything of its batch is answered or left."""
        os.eventfd_write(self.done, 1)

    def hear_done(self) -> None:
        """Parent: forgets that the child said so."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.done)

    def close(self) -> None:
        os.close(self._counter)
        os.close(self.done)
