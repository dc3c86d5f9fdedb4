"""Runs one attempt in the child: limits, cancel, lease, and what a death means. The parent only waits and watches."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from rowlock_jobs import logs
from rowlock_jobs.errors import LeaseLost
from rowlock_jobs.fence.values import StartedRun
from rowlock_jobs.outcome import Outcome, canceled, failed
from rowlock_jobs.settings import Limits
from rowlock_jobs.worker.child import order, read_answer
from rowlock_jobs.worker.lease import Lease
from rowlock_jobs.worker.perform import Settled, Unsettled
from rowlock_jobs.worker.prefork import Child, ChildGone
from rowlock_jobs.worker.stopping import Stopping

_LONGEST_WAIT_SECONDS = 0.5  # how late a wish to stop is seen while a task runs


@dataclass(frozen=True, slots=True)
class Dropped:
    """The attempt ended without an outcome of ours: the ledger retries it as class infra."""

    reason: str


Ended = Outcome | Settled | Dropped


class Attempts:
    """Runs attempts one after another in a child of its own, renewed after `tasks_per_child` of them.

    `spawn` forks a child; `tick(now)` is the parent's housekeeping.
    """

    def __init__(self, spawn: Callable[[], Child], limits: Limits, lease: Lease, stopping: Stopping, tick: Callable[[float], None]) -> None:
        self._spawn, self._limits, self._lease, self._stopping, self._tick = spawn, limits, lease, stopping, tick
        self._child: Child | None = None

    @property
    def child_pid(self) -> int:
        """0 while there is no child."""
        return self._child.pid if self._child else 0

    def run(self, started: StartedRun) -> Ended:
        """Blocks until the attempt ended one way or another."""
        child, sequence = self._send(started)
        run_id, now = started.ref.id, time.monotonic()
        hard_at, cancel_at = now + self._limits.hard_seconds, float("inf")
        try:
            while True:
                now = time.monotonic()
                if now >= hard_at:
                    self._kill(child)
                    return failed("app", "HardTimeLimit", f"killed at its hard limit of {self._limits.hard_seconds:g} s")
                if now >= cancel_at:
                    self._kill(child)
                    return canceled(f"the task did not stop within {self._limits.cancel_grace_seconds:g} s of its cancel and was killed")
                if self._stopping.is_over(now):
                    self._kill(child)
                    return Dropped("Stopped")
                self._tick(now)
                if now >= self._lease.renew_at:
                    text = child.page.read_progress()
                    if run_id in self._lease.renew((run_id, text) if text else None) and cancel_at == float("inf"):
                        child.page.cancel(sequence)
                        cancel_at = now + self._limits.cancel_grace_seconds
                        logs.emit(logs.RUN_CANCEL_REQUESTED, run=run_id, attempt=started.ref.attempt)
                until = min(hard_at, cancel_at, self._lease.renew_at, self._stopping.deadline, now + _LONGEST_WAIT_SECONDS)
                message = child.receive(until - now)
                if message is not None:
                    return self._answer(child, read_answer(message))
        except ChildGone as gone:
            self._child = None
            logs.emit(logs.CHILD_ENDED, logging.WARNING, child=child.pid, reason=gone.outcome.reason)
            return gone.outcome
        except LeaseLost:
            self._kill(child)
            logs.emit(logs.LEASE_LOST, logging.WARNING, during="run", run=run_id, attempt=started.ref.attempt)
            return Dropped("LeaseLost")

    def close(self) -> None:
        """Ends the child."""
        child, self._child = self._child, None
        if child is not None:
            child.retire()

    def _answer(self, child: Child, answer: Outcome | Settled | Unsettled) -> Ended:
        if child.tasks >= self._limits.tasks_per_child:
            self._child = None
            child.retire()
        if isinstance(answer, Unsettled):
            # If the commit took place, the fence answers "stale" and nothing changes; if not, the run is retried.
            return failed("infra", "CommitLost", "the database went away while the task's transaction was committed")
        return answer

    def _send(self, started: StartedRun) -> tuple[Child, int]:
        message = order(started, self._lease.token)
        if self._child is not None:
            try:
                return self._child, self._child.send(*message)
            except OSError:
                # It died between two runs; that is nobody's failure.
                logs.emit(logs.CHILD_ENDED, logging.WARNING, child=self._child.pid, reason="DiedIdle")
                self._kill(self._child)
        self._child = self._spawn()
        logs.emit(logs.CHILD_STARTED, logging.DEBUG, child=self._child.pid)
        return self._child, self._child.send(*message)

    def _kill(self, child: Child) -> None:
        self._child = None
        child.kill()
