"""Looks after the other duties: who holds what they wait for, and tells the command line of those that fail.

Nothing is asked of the database, and nothing written to it, while all is well.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from rowlock_operator.api import reasons
from rowlock_operator.dispatch.failing import LASTING_SECONDS, QUIET_SECONDS, Lasting
from rowlock_operator.dispatch.state import SharedState
from rowlock_operator.errors import RowlockError
from rowlock_operator.observed.queues import trouble
from rowlock_operator.rows.ledger import Holder, Ledger

log = logging.getLogger("rowlock.dispatch")
OPERATOR = "rowlock-operator"  # its sessions' application_name
WATCH = "watch"  # the name of this duty


@dataclass(frozen=True)
class WatchSettings:
    every_seconds: float = 1.0
    suspicious_seconds: float = 3.0  # a duty that has been at one thing for so long may wait for somebody
    bound_seconds: float = 10.0  # and after so long that is told
    forgotten_seconds: float = 8.0  # a holder who was not met for so long holds nothing any more
    lasting_seconds: float = LASTING_SECONDS  # a duty that failed for so long is told
    quiet_seconds: float = QUIET_SECONDS  # and no more once it has not failed for so long
    repeat_seconds: float = (
        60.0  # what lasts is written anew this often, so that one can see who has died since
    )


class Watch:
    """`operator` names this process in the ledger: there may be others on it."""

    def __init__(
        self,
        state: SharedState,
        ledger: Ledger,
        settings: WatchSettings,
        *,
        operator: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state, self._ledger, self._settings, self._operator, self._now = (
            state,
            ledger,
            settings,
            operator,
            now,
        )
        self._held_since: float | None = None
        self._met = -1e9
        self._written: dict[str, str] = {}
        self._written_at = -1e9
        self._new = True

    def run_once(self) -> float:
        """One look; returns the seconds until the next."""
        self._look_for_holders()
        self._tell(self._state.lasting())
        return self._settings.every_seconds

    def close(self) -> None:
        """This operator has nothing to tell any more."""
        if self._written:
            with contextlib.suppress(RowlockError):
                self._ledger.tell_troubles(self._operator, [])

    def _look_for_holders(self) -> None:
        settings, now = self._settings, self._now()
        stuck = self._state.stuck_seconds(now)
        if stuck > settings.suspicious_seconds or self._state.failing.any() or self._feeders_wait():
            with contextlib.suppress(RowlockError):  # the duties say themselves that the database is away
                strange = [each for each in self._ledger.holders() if self._strange(each)]
                if strange:
                    # An operator that holds one thing and waits for another is not the one to end.
                    self._meet(min(strange, key=lambda each: each.application == OPERATOR), now)
        if self._held_since is not None and (now - self._met > settings.forgotten_seconds or self._through()):
            self._held_since, self._state.lock_held = None, None
            log.info("ledger_lock_released")

    def _feeders_wait(self) -> bool:
        """A source cannot be fed for a lock: on its own table, or on one of the ledger."""
        return any(
            each.reason == reasons.TABLE_LOCKED.name
            for entry in self._state.source_entries()
            for each in list(entry.troubles.values())
        )

    def _through(self) -> bool:
        """A round got through since the holder was last met: rounds tell at once what other duties show
        within seconds.
        """
        return self._state.round_at > self._met and not self._state.failing.any() and not self._feeders_wait()

    def _strange(self, holder: Holder) -> bool:
        """Operators of any release take turns on one ledger: whoever of them holds a lock for long is as
        stuck as anybody.
        """
        if holder.application != OPERATOR:
            return True
        return not holder.hidden and (
            holder.transaction_seconds is None or holder.transaction_seconds >= self._settings.bound_seconds
        )

    def _meet(self, holder: Holder, now: float) -> None:
        self._met = now
        if self._held_since is None:
            # Since when we know that somebody waits, which began before we looked.
            self._held_since = now - min(self._state.stuck_seconds(now), self._settings.suspicious_seconds)
            return
        if now - self._held_since < self._settings.bound_seconds:
            return
        remedy = (
            f"select pg_terminate_backend({holder.pid})"
            if holder.pid
            else "rollback prepared '...', see pg_prepared_xacts"
        )
        told = trouble(reasons.LEDGER_LOCKED, what=holder.what, holder=holder.described, remedy=remedy)
        if self._state.lock_held is None:
            log.warning("ledger_locked", extra={"what": holder.what, "holder": holder.described})
            self._state.lock_held = Lasting(told, self._held_since)
        elif (
            self._state.lock_held.trouble.reason != told.reason
            or holder.named not in self._state.lock_held.trouble.message
        ):
            self._state.lock_held = Lasting(told, self._held_since)

    def _tell(self, lasting: dict[str, Lasting]) -> None:
        """Into the ledger, for `rowlock health`: where it changed, and now and then while it lasts."""
        now = self._now()
        told = {duty: f"{each.trouble.reason}: {each.trouble.message}" for duty, each in lasting.items()}
        repeat = bool(told) and now - self._written_at > self._settings.repeat_seconds
        if told == self._written and not repeat and not self._new:
            return
        with contextlib.suppress(RowlockError):  # the next look tries again
            self._ledger.tell_troubles(
                self._operator,
                [
                    (duty, each.trouble.reason, each.trouble.message[:2000], now - each.since)
                    for duty, each in lasting.items()
                ],
            )
            self._written, self._written_at, self._new = told, now, False
