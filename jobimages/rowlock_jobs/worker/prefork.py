"""The parent's side of its child: fork, send, wait, kill, and what a death means."""

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NoReturn, Protocol

from rowlock_jobs.errors import RowlockError
from rowlock_jobs.outcome import Outcome, failed
from rowlock_jobs.worker import wire
from rowlock_jobs.worker.shared_memory import SharedMemory
from rowlock_jobs.worker.start_permits import StartPermits

EXIT_SECONDS = 2.0  # for the exit handlers of an idle child
_LONGEST_ANSWER_BYTES = 16_000_000  # a result of the largest size, with every character escaped


class Serve(Protocol):
    """The child's main function."""

    def __call__(
        self,
        channel: socket.socket,
        memory: SharedMemory,
        permits: StartPermits,
        parent_pid: int,
        *,
        inherited: Iterable[int],
    ) -> NoReturn: ...


class ChildGone(RowlockError):
    """The child ended without an answer; `outcome` is what that means for its run."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class Child:
    """One forked process and the runs it holds. `inherited()` names the parent's sockets, which the child
    must not touch.
    """

    def __init__(self, serve: Serve, inherited: Callable[[], list[int]]) -> None:
        self.memory = SharedMemory()
        self.tasks = 0
        self._permits = StartPermits()
        self._given_back = 0
        self._sent = 0
        ours, theirs = socket.socketpair()
        parent_pid = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            serve(theirs, self.memory, self._permits, parent_pid, inherited=[ours.fileno(), *inherited()])
        theirs.close()
        with suppress(OSError):
            # both sides do it: whoever comes first, a kill of the group finds it
            os.setpgid(self.pid, self.pid)
        self._channel = ours
        self._reader = wire.Reader(ours)
        self._death = os.pidfd_open(self.pid)
        self._poll = select.poll()
        self._poll.register(ours, select.POLLIN)
        self._poll.register(self._death, select.POLLIN)
        self._done_poll = select.poll()
        self._done_poll.register(self._permits.done, select.POLLIN)
        self._done_poll.register(self._death, select.POLLIN)
        self._reaped = False
        self._leaves_by = 0.0

    def fileno(self) -> int:
        return self._channel.fileno()

    @property
    def is_fit(self) -> bool:
        """Whether an idle child lives and is silent. What it said unasked (a thread that outlived its task, a
        closed channel) is no run's failure, so nobody may be sent to it.
        """
        return self._reader.is_empty and not self._poll.poll(0)

    def send(self, runs: Sequence[wire.Message]) -> int:
        """Sends runs, which the child begins in this order; returns the number of the first. Raises ChildGone
        (the child is reaped then).
        """
        first = self._sent + 1
        self._sent += len(runs)
        self.tasks += len(runs)
        self._permits.grant(len(runs))
        try:
            wire.send(self._channel, first, runs)
        except OSError:
            raise ChildGone(self._meaning(self._reap_soon())) from None
        return first

    def take_back(self) -> int:
        """How many of the runs that were sent are not begun and never will be, the last ones. A child that
        lives says then that it leaves them.
        """
        if not self._reaped:
            self._give_back()
        count, self._given_back = self._given_back, 0
        self.tasks -= count
        return count

    def wait_done(self, timeout_seconds: float) -> None:
        """Waits until the child says that a batch is done, or is dead. Waking for each answer would cost more
        than its run.
        """
        if self._done_poll.poll(max(0.0, timeout_seconds) * 1000):
            self._permits.hear_done()

    def receive(self, timeout_seconds: float) -> wire.Message | None:
        """The child's answer, or None after the timeout. Raises ChildGone (the child is reaped then)."""
        message = self._next_message()
        if message is not None:
            return message
        for descriptor, _ in self._poll.poll(max(0.0, timeout_seconds) * 1000):
            if descriptor == self._death:
                # It may have answered before it died: read what is there first.
                self._channel.setblocking(False)
                while (
                    self._reader.fill()
                    and (message := self._next_message()) is None
                    and _readable(self._channel)
                ):
                    pass
                if message is not None:
                    self._channel.setblocking(True)
                    return message
                raise ChildGone(self._meaning(self._reap()))
            if not self._reader.fill():
                raise ChildGone(self._meaning(self._reap_soon()))
            return self._next_message()
        return None

    def _next_message(self) -> wire.Message | None:
        try:
            return self._reader.next_message(_LONGEST_ANSWER_BYTES)
        except wire.Spoiled:
            raise self.spoiled() from None

    def spoiled(self) -> ChildGone:
        """Kills a child whose words make no sense, and says what that means for its run."""
        self.kill()
        message = (
            "the task wrote into the channel between its process and the worker: it uses a file descriptor"
            " that is not its own"
        )
        return ChildGone(failed("app", "ChannelSpoiled", message))

    def kill(self) -> None:
        """Kills the child and everything it started in its process group, and reaps it."""
        if not self._reaped:
            with suppress(ProcessLookupError):
                # a task may have moved it into another group
                signal.pidfd_send_signal(self._death, signal.SIGKILL)
                os.killpg(self.pid, signal.SIGKILL)
            self._reap()

    def retire(self) -> None:
        """Asks an idle child to end: it runs its exit handlers and leaves at the end of its channel.
        `is_over` is to be asked then.
        """
        self._channel.close()
        self._leaves_by = time.monotonic() + EXIT_SECONDS

    def is_over(self, wait_seconds: float = 0.0) -> bool:
        """Whether a retired child left; what its tasks left running is killed then."""
        if not self._reaped and _gone_within(self._death, wait_seconds):
            self._reap()
        return self._reaped

    @property
    def is_late(self) -> bool:
        """Whether a retired child has had its EXIT_SECONDS."""
        return time.monotonic() >= self._leaves_by

    def _reap_soon(self) -> int | None:
        if _gone_within(self._death, 1.0):
            return self._reap()
        self.kill()
        return None

    def _reap(self) -> int | None:
        """None where somebody else has: a library that waits for every process, say. The worker goes on."""
        status = None
        with suppress(ChildProcessError):
            _, status = os.waitpid(self.pid, 0)
        self._reaped = True
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # grandchildren outlive their parent otherwise
        self._give_back()
        self._permits.close()
        os.close(self._death)
        self._channel.close()
        return status

    def _give_back(self) -> None:
        self._given_back += self._permits.take_back()

    def _meaning(self, status: int | None) -> Outcome:
        if status is None or (os.WIFEXITED(status) and os.WEXITSTATUS(status) == wire.UNHEARD):
            return failed(
                "app",
                "ChildExited",
                "the task closed the channel of its process (os.closerange, a daemonizing library)",
            )
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == wire.IMPORT_FAILED:
            return failed(
                "infra",
                "ImportFailed",
                "the modules of the tasks could not be imported this time; the worker's log says why",
            )
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            hint = ": out of memory, or somebody killed it" if number == signal.SIGKILL else ""
            return failed(
                "infra", "ChildKilled", f"the process of the task was killed by signal {number}{hint}"
            )
        return failed(
            "app",
            "ChildExited",
            f"the task ended its process with exit code {os.WEXITSTATUS(status)} instead of returning",
        )


def _readable(channel: socket.socket) -> bool:
    return bool(select.select([channel], [], [], 0)[0])


def _gone_within(death: int, seconds: float) -> bool:
    return bool(select.select([death], [], [], seconds)[0])
