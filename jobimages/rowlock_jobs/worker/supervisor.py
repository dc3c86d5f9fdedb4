"""Several worker parents in one pod: starts them, starts a dead one anew, passes the wish to end on."""

import logging
import os
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from rowlock_jobs import logs
from rowlock_jobs.worker.alive import STARTING, read_alive, state_of_all, write_alive
from rowlock_jobs.worker.parent_death import end_with_parent

_RESTART_SECONDS = 1.0
_LOOK_SECONDS = 0.5


def part_file(alive_file: Path, number: int) -> Path:
    """The alive file of one parent: the pod is alive only while all of them are."""
    return alive_file.with_name(f"{alive_file.name}-{number}")


class Supervisor:
    """`work(number)` is one parent's whole life and returns its exit code; it runs in a fork."""

    def __init__(self, work: Callable[[int], int], *, processes: int, alive_file: Path) -> None:
        self._work, self._processes, self._alive_file = work, processes, alive_file
        self._pids: dict[int, int] = {}  # pid -> number
        self._restart_at: dict[int, float] = dict.fromkeys(range(processes), 0.0)
        self._wishes = 0
        self._passed_on = 0

    def run(self) -> int:
        """Returns 0 after a wish to end, once every parent has ended; 2 where a parent refuses its
        settings.
        """
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        code = 0
        for number in range(self._processes):
            write_alive(part_file(self._alive_file, number), STARTING)
        while self._pids or not self._wishes:
            now = time.monotonic()
            if not self._wishes:
                # Of one that ends again and again the file grows old, and the kubelet takes over: only its
                # own loop renews it.
                for number in [n for n, at in self._restart_at.items() if at <= now]:
                    self._start(number)
            self._pass_on()
            for number, status in self._ended():
                if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 2:
                    code, self._wishes = 2, max(1, self._wishes)
                elif not self._wishes:
                    logs.emit(logs.WORKER_DIED, logging.ERROR, number=number, status=status)
                    self._restart_at[number] = now + _RESTART_SECONDS
            state = state_of_all([read_alive(part_file(self._alive_file, n)) for n in range(self._processes)])
            if state is not None:
                write_alive(self._alive_file, state)
            time.sleep(_LOOK_SECONDS)
        return code

    def _start(self, number: int) -> None:
        del self._restart_at[number]
        # Until the parent has its own handlers a wish to end must end it, not be noted in its copy of this
        # object.
        wishes = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, wishes)
        own_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                if not end_with_parent(signal.SIGTERM, own_pid):
                    os._exit(0)
                for wish in wishes:
                    signal.signal(wish, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, wishes)
                code = self._work(number)
            except BaseException:  # noqa: BLE001 - it must not run on as a second supervisor, nor end without a word
                traceback.print_exc()
            finally:
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, wishes)
        self._pids[pid] = number

    def _ended(self) -> list[tuple[int, int]]:
        ended = []
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                number = self._pids.pop(pid, None)  # None: an orphan of some task
                if number is not None:
                    ended.append((number, status))
        return ended

    def _pass_on(self) -> None:
        while self._passed_on < self._wishes:
            self._passed_on += 1
            for pid in self._pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self._wishes += 1
