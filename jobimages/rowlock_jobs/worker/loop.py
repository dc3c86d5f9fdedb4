"""The worker's loop: one turn with Redis, one cycle with the ledger, one attempt in the child, and again."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from rowlock_jobs import logs
from rowlock_jobs.errors import GraceOver, LeaseLost, TransportAway
from rowlock_jobs.fence.values import FinishedRun, RunRef, StartedRun, parse_rq_id
from rowlock_jobs.outcome import Outcome, canceled
from rowlock_jobs.worker.allowed import Allowed
from rowlock_jobs.worker.attempts import Attempts, Dropped
from rowlock_jobs.worker.duties import Duties
from rowlock_jobs.worker.lease import Lease
from rowlock_jobs.worker.perform import Settled
from rowlock_jobs.worker.rq_worker import RowlockWorker, quietly
from rowlock_jobs.worker.stopping import Stopping, announce
from rowlock_jobs.worker.transport import Claim, Ending, Transport

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Held:
    """What the last attempt left to be recorded: in the ledger (`finished`, unless it is there already) and in RQ (`ending`)."""

    ending: Ending
    finished: FinishedRun | None = None
    task: str = ""


class Loop:
    """One worker parent. `run()` returns after a wish to end, with nothing in its hands."""

    def __init__(
        self,
        *,
        transport: Transport,
        lease: Lease,
        attempts: Attempts,
        worker: RowlockWorker,
        duties: Duties,
        stopping: Stopping,
        allowed: Allowed,
    ) -> None:
        self._transport, self._lease, self._attempts, self._worker = transport, lease, attempts, worker
        self._duties, self._stopping, self._allowed = duties, stopping, allowed
        self._away_pause_seconds = 0.0

    def run(self) -> None:
        """Takes runs until asked to end."""
        held: _Held | None = None
        claim: Claim | None = None
        moved: str | None = None
        try:
            self._lease.take()
            while True:
                claim, ref = self._claim(held, moved)
                moved = None
                answer = self._lease.cycle(held.finished if held else None, ref)
                if held is not None:
                    self._report(held, answer.finished)
                held, self._stopping.holding = None, False
                if claim is None:
                    if self._stopping.requested:
                        announce(self._stopping)
                        return
                    moved = self._idle()
                    continue
                taken, claim = claim, None
                held = self._perform(taken, answer.started) if answer.started else _refused(taken, ref)
                self._stopping.holding = held.finished is not None
        except GraceOver:
            if held is not None and held.finished is not None:
                ref = held.finished.ref
                logs.emit(logs.RUN_ABANDONED, logging.ERROR, run=ref.id, attempt=ref.attempt, reason="NoAnswerBeforeEnd")
        finally:
            self._leave(held, claim)

    def _claim(self, held: _Held | None, moved: str | None) -> tuple[Claim | None, RunRef | None]:
        try:
            claim = self._transport.turn(held.ending if held else None, want=not self._stopping.requested, moved=moved)
        except TransportAway as error:
            self._redis_away(error)
            return None, None
        self._redis_back()
        return claim, parse_rq_id(claim.rq_id) if claim else None

    def _perform(self, claim: Claim, started: StartedRun) -> _Held:
        ref, began = started.ref, time.monotonic()
        logs.emit(logs.RUN_STARTED, run=ref.id, attempt=ref.attempt, task=started.task, tries=started.tries)
        ended: Outcome | Settled | Dropped | None = self._allowed.refusal(started.task)
        if ended is None:
            self._worker.holds(claim)
            ended = self._attempts.run(started)
            if self._worker.was_stopped and isinstance(ended, Outcome) and ended.reason == "ChildKilled":
                ended = canceled("stopped through RQ")
            self._worker.holds(None)
        seconds = round(time.monotonic() - began, 4)
        if isinstance(ended, Outcome):
            status = {"succeeded": "finished", "canceled": "stopped"}.get(ended.kind, "failed")
            return _Held(_ending(claim, status, f"{ended.failure_class} {ended.reason}"), FinishedRun(ref, ended), started.task)
        if isinstance(ended, Dropped):
            logs.emit(logs.RUN_ABANDONED, logging.WARNING, run=ref.id, attempt=ref.attempt, task=started.task, reason=ended.reason)
            return _Held(_ending(claim, "failed", f"infra {ended.reason}"), task=started.task)
        if ended.state is None:
            logs.emit(logs.RUN_STALE, logging.WARNING, run=ref.id, attempt=ref.attempt, task=started.task)
        else:
            logs.emit(logs.RUN_FINISHED, run=ref.id, attempt=ref.attempt, task=started.task, state=ended.state, seconds=seconds)
        return _Held(_ending(claim, "finished"), task=started.task)

    def _report(self, held: _Held, state: str | None) -> None:
        if held.finished is None:
            return
        ref, outcome = held.finished.ref, held.finished.outcome
        seconds = round(held.ending.ended_at - held.ending.claim.started_at, 4)
        if state is None:
            logs.emit(logs.RUN_STALE, logging.WARNING, run=ref.id, attempt=ref.attempt, task=held.task)
        elif outcome.kind == "succeeded":
            logs.emit(logs.RUN_FINISHED, run=ref.id, attempt=ref.attempt, task=held.task, state=state, seconds=seconds)
        else:
            fields: dict[str, Any] = {"class": outcome.failure_class, "reason": outcome.reason}
            logs.emit(logs.RUN_FINISHED, run=ref.id, attempt=ref.attempt, task=held.task, state=state, seconds=seconds, **fields)

    def _idle(self) -> str | None:
        """Waits about a second for an id, keeping lease and records."""
        now = time.monotonic()
        self._duties.tick(now)
        try:
            self._lease.renew()
        except LeaseLost:
            logs.emit(logs.LEASE_LOST, logging.WARNING, during="idle")
        self._lease.take()
        if self._away_pause_seconds:
            self._stopping.pause(self._away_pause_seconds)
            return None
        if self._transport.suspended:
            self._stopping.pause(1.0)
            return None
        try:
            return self._transport.wait()
        except TransportAway as error:
            self._redis_away(error)
            return None

    def _leave(self, held: _Held | None, unstarted: Claim | None) -> None:
        self._attempts.close()
        self._lease.goodbye()
        try:
            if unstarted is not None:
                self._transport.put_back(unstarted)
            self._transport.turn(held.ending if held else None, want=False)
        except TransportAway:
            pass  # RQ's own maintenance will call it abandoned
        quietly(self._worker.depart)
        self._transport.close()

    def _redis_away(self, error: TransportAway) -> None:
        if not self._away_pause_seconds:
            logs.emit(logs.REDIS_AWAY, logging.WARNING, error=str(error))
        self._away_pause_seconds = min(max(_FIRST_PAUSE_SECONDS, self._away_pause_seconds * 2), _LONGEST_PAUSE_SECONDS)

    def _redis_back(self) -> None:
        if self._away_pause_seconds:
            self._away_pause_seconds = 0.0
            logs.emit(logs.REDIS_BACK)
            quietly(self._worker.beat)


def _ending(claim: Claim, status: str, note: str = "") -> Ending:
    return Ending(claim, status, time.time(), note)


def _refused(claim: Claim, ref: RunRef | None) -> _Held:
    """The start fence did not hand it out (a duplicate, an old attempt, a canceled run), or the id is no run of ours."""
    if ref is None:
        logs.emit(logs.RUN_REFUSED, logging.WARNING, rq_id=claim.rq_id[:80], reason="NotARunId")
        return _Held(_ending(claim, "failed", "NotARunId"))
    logs.emit(logs.RUN_REFUSED, run=ref.id, attempt=ref.attempt, reason="StartFence")
    return _Held(_ending(claim, "finished"))
