"""Runs attempts in the child: limits, cancel, lease, and what a death means. The parent only waits and
watches.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from rowlock_jobs import logs
from rowlock_jobs.errors import LeaseLost
from rowlock_jobs.fence.values import StartedRun
from rowlock_jobs.outcome import canceled, failed
from rowlock_jobs.settings import Limits
from rowlock_jobs.worker import wire
from rowlock_jobs.worker.batch import Abandoned, Batch, Ended
from rowlock_jobs.worker.batch_size import PATIENCE_SECONDS
from rowlock_jobs.worker.child import BatchReleased, decode_result, encode_run
from rowlock_jobs.worker.execute import CommitUnknown
from rowlock_jobs.worker.lease import Lease
from rowlock_jobs.worker.prefork import EXIT_SECONDS, Child, ChildGone
from rowlock_jobs.worker.shutdown import Shutdown

_SOFT_LIMIT_HEARD_SECONDS = 0.3  # a task that is not in C code has been told by then
_CANCEL_AGAIN_SECONDS = 5.0
_IMPORT_PAUSE_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 0.5  # how late a wish to stop is seen while a task runs


class Attempts:
    """Runs attempts one after another in a child of its own, renewed after `tasks_per_child` of them.

    `spawn` forks a child; `tick(now)` is the parent's housekeeping.
    """

    def __init__(
        self,
        spawn: Callable[[], Child],
        limits: Limits,
        lease: Lease,
        shutdown: Shutdown,
        tick: Callable[[float], None],
    ) -> None:
        self._spawn, self._limits, self._lease, self._shutdown, self._tick = (
            spawn,
            limits,
            lease,
            shutdown,
            tick,
        )
        self._child: Child | None = None
        self._leaving: list[Child] = []

    @property
    def child_pid(self) -> int:
        """0 while there is no child."""
        return self._child.pid if self._child else 0

    @property
    def own_pids(self) -> set[int]:
        """The processes that nobody else may reap: the child, and those before it that have not left yet."""
        return {child.pid for child in (self._child, *self._leaving) if child is not None}

    @property
    def room(self) -> int:
        """How many runs the child may still take before it is renewed."""
        return self._limits.tasks_per_child - (self._child.tasks if self._child else 0)

    def run(self, runs: Sequence[StartedRun], on_slow: Callable[[Batch], None]) -> Batch:
        """Blocks until each attempt ended one way or another, or is known never to begin.

        `on_slow(batch)` is called once where several take longer than the last ones may wait for: it may take
        away what ended and what was not begun, and must be quick, because the run at work is not watched
        meanwhile.
        """
        batch, began = Batch(runs), time.monotonic()
        child: Child | None = None
        try:
            if len(runs) > 1:
                self._tick(time.monotonic())
                self._lease.renew()
            child, first = self._send(runs)
            if len(runs) > 1 and not self._answers_within(PATIENCE_SECONDS, child, batch):
                batch.keep(len(batch.open) - child.take_back())
                batch.leaving = bool(batch.unbegun)
                on_slow(batch)
            self._watch(child, first, batch, began)
        except ChildGone as gone:
            child, self._child = self._child, None
            assert child is not None
            logs.emit(logs.CHILD_ENDED, logging.WARNING, child=child.pid, reason=gone.outcome.reason)
            self._lease.end_sessions(child.memory.session_name)
            batch.keep(len(batch.open) - child.take_back())
            batch.end_all(gone.outcome, time.monotonic() - began)
            if gone.outcome.reason == "ImportFailed":
                self._shutdown.holding = True
                # its runs were not begun and go back: not at once
                self._shutdown.pause(_IMPORT_PAUSE_SECONDS)
        except LeaseLost:
            if child is not None:
                self._kill(child)
            for run in batch.open:
                logs.emit(
                    logs.LEASE_LOST, logging.WARNING, during="run", run=run.ref.id, attempt=run.ref.attempt
                )
            batch.end_all(Abandoned("LeaseLost"), time.monotonic() - began)
        self._renew_child()
        return batch

    def reap(self, wait_seconds: float = 0.0) -> None:
        """Forgets renewed children that have left, and kills those whose exit handlers take too long."""
        for child in list(self._leaving):
            if child.is_over(wait_seconds):
                self._leaving.remove(child)
            elif child.is_late:
                logs.emit(logs.CHILD_ENDED, logging.WARNING, child=child.pid, reason="ExitHandlersTooLong")
                child.kill()
                self._leaving.remove(child)

    def close(self) -> None:
        """Ends the child."""
        child, self._child = self._child, None
        if child is not None:
            self._retire(child)
        self.reap(EXIT_SECONDS)

    def _answers_within(self, seconds: float, child: Child, batch: Batch) -> bool:
        """Whether nothing is left to wait for after so many seconds."""
        until = time.monotonic() + seconds
        while batch.open and (left := until - time.monotonic()) > 0:
            child.wait_done(left)
            while batch.open and (message := child.receive(0.0)) is not None:
                self._note(message, child, batch)
        return not batch.open

    def _watch(self, child: Child, first: int, batch: Batch, began: float) -> None:
        """Waits for the run at work, under its limits, and for the child to leave the others."""
        hard_at, cancel_at, cancel_again_at = time.monotonic() + self._limits.hard_seconds, float("inf"), 0.0
        while batch.open or batch.leaving:
            now = time.monotonic()
            if now >= hard_at:
                self._end(
                    child, batch, began, failed("app", "HardTimeLimit", self._hard_limit_message(child))
                )
                return
            if now >= cancel_at:
                seconds = self._limits.cancel_grace_seconds
                self._end(
                    child,
                    batch,
                    began,
                    canceled(f"the task did not stop within {seconds:g} s of its cancel and was killed"),
                )
                return
            if self._shutdown.is_over(now):
                self._end(child, batch, began, Abandoned("Stopped"))
                return
            self._tick(now)
            self.reap()
            soft_at = child.memory.unheard_soft_limit_at
            if soft_at and now >= max(soft_at + _SOFT_LIMIT_HEARD_SECONDS, cancel_again_at):
                # It rang while the task waited in C code, most likely for a statement: that is canceled, and
                # the task hears it.
                self._lease.cancel_statements(child.memory.session_name, now - soft_at)
                cancel_again_at = now + _CANCEL_AGAIN_SECONDS
            if now >= self._lease.renew_at and batch.open:
                run = batch.open[0].ref
                text = child.memory.read_progress()
                if run.id in self._lease.renew((run.id, text) if text else None) and cancel_at == float(
                    "inf"
                ):
                    child.memory.cancel(first + batch.answered)
                    cancel_at = now + self._limits.cancel_grace_seconds
                    logs.emit(logs.RUN_CANCEL_REQUESTED, run=run.id, attempt=run.attempt)
            until = min(
                hard_at, cancel_at, self._lease.renew_at, self._shutdown.deadline, now + _LONGEST_WAIT_SECONDS
            )
            message = child.receive(until - now)
            if message is not None:
                self._note(message, child, batch)

    def _hard_limit_message(self, child: Child) -> str:
        soft_seconds, hard_seconds = self._limits.soft_seconds, self._limits.hard_seconds
        message = f"killed at its hard limit of {hard_seconds:g} s"
        if child.memory.soft_limit_rang or soft_seconds >= hard_seconds:
            return message
        return (
            f"{message}; its soft limit of {soft_seconds:g} s never reached it: it was in code that no signal"
            " interrupts, or a library took the alarm for itself (signal.alarm, signal.setitimer)"
        )

    def _note(self, message: wire.Message, child: Child, batch: Batch) -> None:
        try:
            seconds, answer = decode_result(message)
        except wire.Spoiled:
            raise child.spoiled() from None
        if not batch.open and not isinstance(answer, BatchReleased):
            raise child.spoiled()  # an answer for no run
        if isinstance(answer, BatchReleased):
            batch.leaving = False
            batch.keep(len(batch.open) - child.take_back())
        elif isinstance(answer, CommitUnknown):
            # If the commit took place, the fence answers "stale" and nothing changes; if not, the run is
            # retried.
            batch.end(
                failed(
                    "infra", "CommitLost", "the database went away while the task's transaction was committed"
                ),
                seconds,
            )
        else:
            batch.end(answer, seconds)

    def _send(self, runs: Sequence[StartedRun]) -> tuple[Child, int]:
        orders = [encode_run(run, self._lease.token) for run in runs]
        if self._child is not None:
            if self._child.is_fit:
                with suppress(ChildGone):
                    return self._child, self._child.send(orders)
            # It died or spoke between two runs; that is nobody's failure.
            logs.emit(logs.CHILD_ENDED, logging.WARNING, child=self._child.pid, reason="UnfitIdle")
            self._kill(self._child)
        self._child = self._spawn()
        logs.emit(logs.CHILD_STARTED, logging.DEBUG, child=self._child.pid)
        return self._child, self._child.send(orders)

    def _end(self, child: Child, batch: Batch, began: float, ended: Ended) -> None:
        """Kills the child; this is what became of the run at work, the others were not begun."""
        self._kill(child)
        batch.keep(len(batch.open) - child.take_back())
        batch.end_all(ended, time.monotonic() - began)

    def _renew_child(self) -> None:
        child = self._child
        if child is not None and (child.tasks >= self._limits.tasks_per_child or child.memory.is_spent):
            self._child = None
            self._retire(child)

    def _retire(self, child: Child) -> None:
        # Not waited for: the next run need not stand in line behind the exit handlers of earlier ones.
        child.retire()
        self._leaving.append(child)

    def _kill(self, child: Child) -> None:
        self._child = None
        child.kill()
        self._lease.end_sessions(child.memory.session_name)
