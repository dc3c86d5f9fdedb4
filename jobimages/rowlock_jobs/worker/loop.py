"""The worker's loop: one turn with Redis, one cycle with the ledger, a run or a handful in the child, and
again.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rowlock_jobs import logs
from rowlock_jobs.errors import GraceOver, LeaseLost, TransportAway
from rowlock_jobs.fence.values import FinishedRun, RunId, RunRef, StartedRun, parse_rq_id
from rowlock_jobs.outcome import Outcome, canceled
from rowlock_jobs.worker.attempts import Attempts
from rowlock_jobs.worker.batch import Abandoned, Batch, Ended
from rowlock_jobs.worker.batch_size import BatchSize
from rowlock_jobs.worker.heartbeat import Heartbeat
from rowlock_jobs.worker.lease import Lease
from rowlock_jobs.worker.refusal import UNEXPLAINED, refusal_note
from rowlock_jobs.worker.rq_worker import RowlockWorker, quietly
from rowlock_jobs.worker.shutdown import Shutdown, announce
from rowlock_jobs.worker.task_allow_list import TaskAllowList
from rowlock_jobs.worker.transport import Claim, ExecutionRecord, Transport

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 5.0
_FULL_PAUSE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class _InFlight:
    """An attempt that has ended and is not recorded yet.

    record: what RQ is to show of it. finished: what the finish fence is to be asked; None where nothing is
    left to ask. committed: the finish rode in the task's own transaction, and left the run in this state
    (None: the fence refused it as stale).
    """

    record: ExecutionRecord
    finished: FinishedRun | None = None
    task: str = ""
    committed: tuple[RunRef, str | None] | None = None


class Loop:
    """One worker parent. `run()` returns after a wish to end, with nothing in its hands."""

    def __init__(
        self,
        *,
        transport: Transport,
        lease: Lease,
        attempts: Attempts,
        worker: RowlockWorker,
        heartbeat: Heartbeat,
        shutdown: Shutdown,
        allow_list: TaskAllowList,
    ) -> None:
        self._transport, self._lease, self._attempts, self._worker = transport, lease, attempts, worker
        self._heartbeat, self._shutdown, self._allow_list = heartbeat, shutdown, allow_list
        self._batch_size = BatchSize()
        self._away_pause_seconds = 0.0
        self._told_full = False

    def run(self) -> None:
        """Takes runs until asked to end."""
        held: list[_InFlight] = []
        claims: list[Claim] = []
        moved: str | None = None
        try:
            self._lease.take()
            while True:
                self._attempts.reap()
                claims = self._claim(held, moved)
                moved = None
                refs = [ref for claim in claims if (ref := parse_rq_id(claim.rq_id))]
                answer = self._lease.cycle(_finished(held), refs)
                self._report(held, answer.finished)
                held, self._shutdown.holding = [], False
                if not claims:
                    if self._shutdown.requested:
                        announce(self._shutdown)
                        return
                    moved = self._idle()
                    continue
                taken, claims = claims, []
                self._perform(taken, answer.started, held)
                self._shutdown.holding = bool(_finished(held))
        except GraceOver:
            for each in _finished(held):
                logs.emit(
                    logs.RUN_ABANDONED,
                    logging.ERROR,
                    run=each.ref.id,
                    attempt=each.ref.attempt,
                    reason="NoAnswerBeforeEnd",
                )
        finally:
            self._leave(held, claims)

    def _claim(self, held: Sequence[_InFlight], moved: str | None) -> list[Claim]:
        want = 0 if self._shutdown.requested else min(self._batch_size.size, self._attempts.room)
        try:
            claims = self._transport.turn([each.record for each in held], want=want, moved=moved)
        except TransportAway as error:
            self._redis_away(error)
            return []
        self._redis_back()
        if self._transport.full != self._told_full:
            self._told_full = self._transport.full
            logs.emit(
                logs.REDIS_FULL if self._told_full else logs.REDIS_ROOM,
                logging.WARNING if self._told_full else logging.INFO,
            )
        return claims

    def _perform(self, claims: Sequence[Claim], started: Sequence[StartedRun], held: list[_InFlight]) -> None:
        """Has runs performed; what is to be recorded of them goes to `held`."""
        handed_out = {run.ref.rq_id: run for run in started}
        claim_of: dict[RunId, Claim] = {}
        runs: list[StartedRun] = []
        refused: list[Claim] = []
        with logs.together():
            for claim in claims:
                run = handed_out.pop(claim.rq_id, None)
                if run is None:
                    refused.append(claim)
                    continue
                logs.emit(
                    logs.RUN_STARTED, run=run.ref.id, attempt=run.ref.attempt, task=run.task, tries=run.tries
                )
                refusal = self._allow_list.refusal(run.task)
                if refusal is not None:
                    held.append(self._hold(claim, run, refusal))
                    continue
                claim_of[run.ref.id] = claim
                runs.append(run)
        held += self._refused(refused) if refused else []
        if not runs:
            return
        self._worker.holds(claim_of[runs[0].ref.id] if len(runs) == 1 else None)
        batch = self._attempts.run(runs, lambda batch: self._part(batch, claim_of))
        self._batch_size.note(batch.mean_seconds)
        held += self._ended(batch, claim_of)
        self._worker.holds(None)
        if batch.unbegun:
            self._shutdown.holding = True
            self._hand_back(batch, claim_of)

    def _refused(self, claims: Sequence[Claim]) -> list[_InFlight]:
        """What the start fence did not hand out: duplicates, old attempts, runs that ended, and ids that are
        no runs of ours.
        """
        refs = {claim: ref for claim in claims if (ref := parse_rq_id(claim.rq_id))}
        states = self._lease.states(list(refs.values())) if refs else {}
        held = []
        with logs.together():
            for claim in claims:
                if ref := refs.get(claim):
                    logs.emit(logs.RUN_REFUSED, run=ref.id, attempt=ref.attempt, reason="StartFence")
                    note = UNEXPLAINED if states is None else refusal_note(ref, states.get(ref.id))
                else:
                    logs.emit(
                        logs.RUN_REFUSED,
                        logging.WARNING,
                        rq_id=ascii(claim.rq_id[:80])[1:-1],
                        reason="NotARunId",
                    )
                    note = "NotARunId"
                held.append(_InFlight(ExecutionRecord(claim, "failed" if note else "finished", 0.0, note)))
        return held

    def _part(self, batch: Batch, claim_of: Mapping[RunId, Claim]) -> None:
        """One run takes longer than the others may wait for: those that ended are recorded, those that were
        not begun go back.
        """
        self._batch_size.note(float("inf"))
        done = self._ended(batch, claim_of)
        states = self._lease.finish_early(_finished(done))
        if states is not None:
            batch.ended.clear()
            self._report(done, states)
            try:
                self._transport.turn([each.record for each in done], want=0)
            except TransportAway as error:
                self._redis_away(error)
        if batch.unbegun:
            self._hand_back(batch, claim_of, once=True)
        self._worker.holds(claim_of[batch.open[0].ref.id] if batch.open else None)

    def _hand_back(self, batch: Batch, claim_of: Mapping[RunId, Claim], *, once: bool = False) -> None:
        """First the ledger, then Redis: whoever finds the id there may start it. Where Redis is away the
        sweep finds it missing.
        """
        queued = self._lease.hand_back([run.ref for run in batch.unbegun], once=once)
        if queued is None:
            return
        for ref in (run.ref for run in batch.unbegun if run.ref.id in queued):
            logs.emit(logs.RUN_HANDED_BACK, run=ref.id, attempt=ref.attempt)
        claims, batch.unbegun = [claim_of[run.ref.id] for run in batch.unbegun], []
        try:
            for claim in reversed(claims):
                self._transport.put_back(claim)
        except TransportAway as error:
            self._redis_away(error)

    def _ended(self, batch: Batch, claim_of: Mapping[RunId, Claim]) -> list[_InFlight]:
        return [self._hold(claim_of[run.ref.id], run, ended, seconds) for run, ended, seconds in batch.ended]

    def _hold(self, claim: Claim, run: StartedRun, ended: Ended, seconds: float = 0.0) -> _InFlight:
        ref = run.ref
        if self._worker.was_stopped and isinstance(ended, Outcome) and ended.reason == "ChildKilled":
            ended = canceled("stopped through RQ")
        if isinstance(ended, Outcome):
            status = {"succeeded": "finished", "canceled": "stopped"}.get(ended.kind, "failed")
            return _InFlight(
                ExecutionRecord(claim, status, seconds, f"{ended.failure_class} {ended.reason}"),
                FinishedRun(ref, ended),
                run.task,
            )
        if isinstance(ended, Abandoned):
            logs.emit(
                logs.RUN_ABANDONED,
                logging.WARNING,
                run=ref.id,
                attempt=ref.attempt,
                task=run.task,
                reason=ended.reason,
            )
            return _InFlight(
                ExecutionRecord(claim, "failed", seconds, f"infra {ended.reason}"), task=run.task
            )
        return _InFlight(
            ExecutionRecord(claim, "finished", seconds, ended.remark),
            task=run.task,
            committed=(ref, ended.state),
        )

    def _report(self, held: Sequence[_InFlight], states: Mapping[RunId, str]) -> None:
        with logs.together():
            for each in held:
                seconds, fields = round(each.record.seconds, 4), dict[str, Any]()
                if each.finished is not None:
                    ref, outcome = each.finished.ref, each.finished.outcome
                    state = states.get(ref.id)
                    if outcome.kind != "succeeded":
                        fields = {"class": outcome.failure_class, "reason": outcome.reason}
                    elif outcome.reason:
                        fields = {"remark": outcome.reason}
                elif each.committed is not None:
                    ref, state = each.committed
                    fields = {"remark": each.record.note} if each.record.note else {}
                else:
                    continue
                if state is None:
                    logs.emit(
                        logs.RUN_STALE, logging.WARNING, run=ref.id, attempt=ref.attempt, task=each.task
                    )
                else:
                    logs.emit(
                        logs.RUN_FINISHED,
                        run=ref.id,
                        attempt=ref.attempt,
                        task=each.task,
                        state=state,
                        seconds=seconds,
                        **fields,
                    )

    def _idle(self) -> str | None:
        """Waits about a second for an id, keeping lease and records."""
        now = time.monotonic()
        self._heartbeat.tick(now)
        try:
            self._lease.renew()
        except LeaseLost:
            logs.emit(logs.LEASE_LOST, logging.WARNING, during="idle")
        self._lease.take()
        if self._away_pause_seconds:
            self._shutdown.pause(self._away_pause_seconds)
            return None
        if self._transport.suspended:
            self._shutdown.pause(1.0)
            return None
        if self._transport.full:  # it refuses the move that a wait is; a turn takes what there is
            self._shutdown.pause(_FULL_PAUSE_SECONDS)
            return None
        try:
            return self._transport.wait()
        except TransportAway as error:
            self._redis_away(error)
            return None

    def _leave(self, held: Sequence[_InFlight], unstarted: Sequence[Claim]) -> None:
        self._attempts.close()
        self._lease.goodbye()
        try:
            for claim in reversed(unstarted):
                self._transport.put_back(claim)
            self._transport.turn([each.record for each in held], want=0)
        except TransportAway:
            pass  # RQ's own maintenance will call them abandoned
        quietly(self._worker.depart)
        self._transport.close()

    def _redis_away(self, error: TransportAway) -> None:
        if not self._away_pause_seconds:
            logs.emit(logs.REDIS_AWAY, logging.WARNING, error=str(error))
        self._away_pause_seconds = min(
            max(_FIRST_PAUSE_SECONDS, self._away_pause_seconds * 2), _LONGEST_PAUSE_SECONDS
        )

    def _redis_back(self) -> None:
        if self._away_pause_seconds:
            self._away_pause_seconds = 0.0
            logs.emit(logs.REDIS_BACK)
            quietly(self._worker.beat)


def _finished(held: Sequence[_InFlight]) -> list[FinishedRun]:
    return [each.finished for each in held if each.finished is not None]
