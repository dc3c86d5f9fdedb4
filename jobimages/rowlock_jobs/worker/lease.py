"""The runner's lease and both fences, kept through every outage of the database.

The trust window: the ledger gives our runs away once it has heard nothing for `lease_seconds`. While it
cannot be reached we go on (the fence will refuse us if we were given up); the moment it says "not alive"
everything held is dropped.

A call that waits (for a lock on the history, for a server that is slow) must not cost the lease of what is
already done: it would be done again. So renewals go on beside it, on a connection of their own, for as long
as it takes.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar
from uuid import uuid4

from rowlock_jobs import logs
from rowlock_jobs.errors import FenceAway, FenceRefused, FenceRuled, LeaseLost
from rowlock_jobs.fence.ledger import Ledger
from rowlock_jobs.fence.values import (
    Cycle,
    FinishedRun,
    RunId,
    RunnerId,
    RunnerToken,
    RunRef,
    RunState,
    StartedRun,
)
from rowlock_jobs.outcome import with_note
from rowlock_jobs.settings import Lease as LeaseSettings
from rowlock_jobs.worker.insist import insist, storable

_T = TypeVar("_T")
_RULE_TRIES = 8  # about five seconds


class Lease:
    """Holds one runner id at a time. `pause(seconds)` waits between two tries and may raise GraceOver to end
    them.

    `keeper` is the ledger on a connection of its own, for `keep()`.
    """

    def __init__(
        self,
        ledger: Ledger,
        name: str,
        settings: LeaseSettings,
        pause: Callable[[float], None],
        *,
        keeper: Ledger | None = None,
    ) -> None:
        self._ledger, self._name, self._settings, self._pause, self._keeper = (
            ledger,
            name,
            settings,
            pause,
            keeper,
        )
        self._runner: RunnerId | None = None
        self._token = RunnerToken("")
        self._renew_at = self._keep_at = 0.0

    @property
    def token(self) -> RunnerToken:
        """The proof that an outcome is ours; new with every lease."""
        return self._token

    @property
    def renew_at(self) -> float:
        """When the next renewal is due (monotonic)."""
        return self._renew_at

    def take(self) -> RunnerId:
        """The living runner id; says hello first where there is none, for as long as that takes."""
        if self._runner is None:
            token = RunnerToken(str(uuid4()))
            self._runner = self._insist(
                lambda: self._ledger.hello(name=self._name, lease_seconds=self._settings.lease_seconds)
            )
            self._token = token
            self._renew_at = time.monotonic() + self._settings.renew_seconds
            logs.emit(logs.LEASE_TAKEN, runner=self._runner)
        return self._runner

    def renew(self, progress: tuple[RunId, str] | None = None) -> frozenset[RunId]:
        """Renews where it is due and returns the runs that were asked to end. One try: the next one is
        seconds away.

        Raises LeaseLost where the ledger gave this runner up.
        """
        now = time.monotonic()
        if self._runner is None or now < self._renew_at:
            return frozenset()
        self._renew_at = now + self._settings.renew_seconds
        try:
            alive, cancel = self._ledger.renew(
                self._runner, lease_seconds=self._settings.lease_seconds, progress=progress
            )
        except FenceAway as error:
            self._renew_at = now + 1.0
            logs.emit(logs.DATABASE_AWAY, logging.WARNING, during="renew", error=str(error))
            return frozenset()
        except FenceRefused as error:  # a progress that cannot be stored must not cost the lease
            self._renew_at = now
            logs.emit(logs.RUN_STALE, logging.WARNING, during="renew", error=str(error))
            return self.renew() if progress else frozenset()
        if not alive:
            self._forget()
            raise LeaseLost("the ledger gave this runner up: it had not renewed in time")
        return cancel

    def keep(self) -> None:
        """Renews where it is due while another call waits for its answer, on a connection that lasts as long
        as the renewal.
        """
        if self._keeper is not None:
            self._renew_by(self._keeper)
            self._keeper.connection.close()

    def _renew_by(self, ledger: Ledger) -> None:
        """Renews where it is due and where nobody can be told that a run shall end or that the lease is lost.

        Then the renewal stays due, and the next `renew()` hears the same.
        """
        now = time.monotonic()
        if self._runner is None or now < max(self._renew_at, self._keep_at):
            return
        self._keep_at = now + self._settings.renew_seconds
        try:
            alive, cancel = ledger.renew(self._runner, lease_seconds=self._settings.lease_seconds)
        except (FenceAway, FenceRefused) as error:
            self._keep_at = time.monotonic() + 1.0
            logs.emit(logs.DATABASE_AWAY, logging.WARNING, during="keep", error=str(error))
            return
        if alive and not cancel:
            self._renew_at = now + self._settings.renew_seconds

    def cycle(self, finished: Sequence[FinishedRun], start: Sequence[RunRef]) -> Cycle:
        """Both fences in one commit; comes back only with an answer. Raises GraceOver."""
        if not finished and not start:
            return Cycle({}, ())
        self._renew_by(self._ledger)
        # In the order in which whoever else locks several runs does it: two that meet wait and do not
        # deadlock.
        finished, start = (
            sorted(finished, key=lambda each: each.ref.id),
            sorted(start, key=lambda ref: ref.id),
        )
        runner = self._runner
        if runner is None:
            return self._apart(finished, start, None)
        try:
            answer = self._ledger.cycle(finished, start, runner=runner, token=self._token)
        except (
            FenceRefused,
            FenceRuled,
        ):  # one result that cannot be stored must not take the others with it
            return self._apart(finished, start, None)
        except FenceAway as error:
            logs.emit(logs.DATABASE_AWAY, logging.WARNING, during="cycle", error=str(error))
            return self._apart(finished, start, runner)
        if start and not answer.started:
            return Cycle(answer.finished, self._ask_again(start))
        return answer

    def finish_early(self, finished: Sequence[FinishedRun]) -> Mapping[RunId, str] | None:
        """The finish fence in one try, because a run is being watched meanwhile; None: ask again with the
        next cycle.
        """
        self._renew_by(self._ledger)
        try:
            return self._ledger.finish(finished, token=self._token) if finished else {}
        except (FenceAway, FenceRefused):
            return None

    def hand_back(self, refs: Sequence[RunRef], *, once: bool = False) -> frozenset[RunId] | None:
        """Started runs that were never begun are queued again; returns those that are. One try, or tries
        until there is an answer.

        None: the one try was not answered. It may be repeated: what was handed back carries our token no
        more. Raises GraceOver.
        """
        self._renew_by(self._ledger)
        token, ask = self._token, self._ledger.hand_back
        if not once:
            try:
                return self._insist(lambda: ask(refs, token=token))
            except FenceRefused as error:
                logs.emit(
                    logs.RUN_REFUSED, logging.ERROR, reason="LedgerRefused", runs=len(refs), error=str(error)
                )
                self.goodbye()
                return frozenset()
        try:
            return ask(refs, token=token)
        except (FenceAway, FenceRefused):
            return None

    def states(self, refs: Sequence[RunRef]) -> Mapping[RunId, RunState] | None:
        """What the ledger says of runs whose start it refused. One try: only RQ's records wait for it; None:
        not answered.
        """
        try:
            return self._ledger.states([ref.id for ref in refs])
        except (FenceAway, FenceRefused):
            return None

    def end_sessions(self, session_name: str) -> None:
        """Ends what a dead child left at work in PostgreSQL. One try: the server itself asks each second
        whether its client is there.
        """
        with suppress(FenceAway, FenceRefused):
            self._ledger.end_sessions(session_name)

    def cancel_statements(self, session_name: str, running_seconds: float) -> None:
        """Cancels what a child has waited for since before that. One try; it is asked again."""
        with suppress(FenceAway, FenceRefused):
            self._ledger.cancel_statements(session_name, running_seconds=running_seconds)

    def goodbye(self) -> None:
        """Ends the lease: what is still held is retried at once. One try; without it the lease lapses by
        itself.
        """
        runner = self._runner
        self._forget()
        if runner is not None:
            try:
                self._ledger.goodbye(runner)
            except (FenceAway, FenceRefused) as error:
                logs.emit(logs.DATABASE_AWAY, logging.WARNING, during="goodbye", error=str(error))

    def _apart(
        self, finished: Sequence[FinishedRun], start: Sequence[RunRef], lost: RunnerId | None
    ) -> Cycle:
        """Each finish, then the start, until they are answered.

        A start whose answer was lost may have happened. Its runs would be running under our lease and in
        nobody's hands, so that runner ends: goodbye hands them back as class infra, and a start under the
        next runner tells which are still ours.
        """
        states = self._finish(finished)
        if not start:
            return Cycle(states, ())
        give_up = lost

        def attempt() -> list[StartedRun]:
            nonlocal give_up
            if give_up is not None:
                self._ledger.goodbye(give_up)
                give_up = None
                self._forget()
            runner = self.take()
            try:
                return self._ledger.start(start, runner=runner, token=self._token)
            except FenceAway:
                give_up = runner
                raise

        try:
            return Cycle(states, self._insist(attempt))
        except FenceRefused as error:  # not begun: the sweep finds their ids missing and queues them again
            logs.emit(
                logs.RUN_REFUSED, logging.ERROR, reason="LedgerRefused", runs=len(start), error=str(error)
            )
            return Cycle(states, ())

    def _finish(self, finished: Sequence[FinishedRun]) -> dict[RunId, str]:
        """One by one, because one that the ledger refuses must not keep the others from it.

        What a rule refuses is asked for again, since somebody may change the rule; at last also with a note
        in place of its values. Where the ledger refuses the values of even the note, this runner ends: nobody
        would ever end that run otherwise.
        """
        states: dict[RunId, str] = {}
        left, token, given_up = deque(finished), self._token, False
        ruled = Counter[RunId]()

        def finish(each: FinishedRun) -> dict[RunId, str]:
            return self._ledger.finish([each], token=token)

        def ask() -> dict[RunId, str]:
            each = left[0]
            try:
                return storable(each, finish)
            except FenceAway as error:
                if isinstance(error, FenceRuled):
                    ruled[each.ref.id] += 1
                    if ruled[each.ref.id] >= _RULE_TRIES:
                        with suppress(FenceAway):
                            return finish(FinishedRun(each.ref, with_note(each.outcome, str(error))))
                left.rotate(-1)  # whoever is next may have his answer meanwhile
                raise

        while left:
            try:
                states |= self._insist(ask)
            except FenceRefused as error:
                given_up, ref = True, left[0].ref
                logs.emit(
                    logs.RUN_ABANDONED,
                    logging.ERROR,
                    run=ref.id,
                    attempt=ref.attempt,
                    reason="LedgerRefused",
                    error=str(error),
                )
            left.popleft()
        if given_up:
            self.goodbye()
        return states

    def _ask_again(self, start: Sequence[RunRef]) -> Sequence[StartedRun]:
        """No start was allowed: because the attempts are not ours to run, or because this runner was given
        up?
        """
        self._renew_at = 0.0
        try:
            self.renew()
            return ()
        except LeaseLost:
            logs.emit(logs.LEASE_LOST, logging.WARNING, during="start")
            return self._apart((), start, None).started

    def _insist(self, ask: Callable[[], _T]) -> _T:
        def pause(seconds: float) -> None:
            self._pause(seconds)
            self._renew_by(self._ledger)

        return insist(ask, pause)

    def _forget(self) -> None:
        self._runner = None
