"""The parent's housekeeping between two waits: the alive file, RQ's records, orphans."""

import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from rowlock_jobs.worker.alive import state_of, write_alive

_ALIVE_EVERY_SECONDS = 2.0
_BEAT_AWAY_SECONDS = 10.0


class Heartbeat:
    """`beat` renews RQ's records (False: Redis was away); `own_pids()` are the processes that nobody but
    their owner may reap; `waits_for()` names the stores that did not answer when they were asked last.
    """

    def __init__(
        self,
        alive_file: Path,
        *,
        beat: Callable[[], bool],
        beat_seconds: float,
        own_pids: Callable[[], Collection[int]],
        waits_for: Callable[[], Sequence[str]],
    ) -> None:
        self._alive_file, self._beat, self._beat_seconds = alive_file, beat, beat_seconds
        self._own_pids, self._waits_for = own_pids, waits_for
        self._alive_at = 0.0
        self._beat_at = 0.0

    def tick(self, now: float) -> None:
        """Does what is due; cheap where nothing is."""
        if now >= self._alive_at:
            self.touch(now)
        if now >= self._beat_at:
            # A Redis that swallows packets costs seconds a try, and the parent has a child to watch.
            self._beat_at = now + (self._beat_seconds if self._beat() else _BEAT_AWAY_SECONDS)

    def touch(self, now: float | None = None) -> None:
        """Says that this loop turns and what it waits for; needs neither Redis nor the database."""
        now = time.monotonic() if now is None else now
        if now >= self._alive_at:
            self._alive_at = now + _ALIVE_EVERY_SECONDS
            write_alive(self._alive_file, state_of(self._waits_for()))
            reap_orphans(self._own_pids())


def reap_orphans(own_pids: Collection[int]) -> None:
    """Reaps what tasks left behind: a worker is process 1 of its container, so every orphan becomes its
    child.
    """
    with suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if found.si_pid in own_pids:
                return
            with suppress(ChildProcessError):
                os.waitpid(found.si_pid, 0)
