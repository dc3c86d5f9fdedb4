"""Work on users' tables, one source at a time: who is quick is dealt with in passing, and only threads that
nobody waits for have patience with the rest.

A duty visits each source with little patience. Where somebody's lock or a long statement uses it up, the work
is handed to the *waiting room*: threads of its own go through it, each with more patience than the one
before. A source comes back once it would have been quick.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rowlock_operator.api.reasons import TABLE_LOCKED, TABLE_SLOW
from rowlock_operator.dispatch.state import SharedState, SourceEntry, Turn
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.pool import Patience, patient


@dataclass(frozen=True)
class TablesSettings:
    """The patience of each tier, in passing first; and how a source that is in trouble is paced."""

    tiers: tuple[Patience, ...] = (
        Patience(20, 200, final=False),
        Patience(50, 500, final=False),
        Patience(200, 4_000, final=False),
        Patience(1_000, 30_000),
    )
    locked_seconds: float = 0.5  # after a lock was met; doubled each time,
    longest_locked_seconds: float = 5.0  # up to this: rows flow again so long after it is released, at most
    error_seconds: float = 5.0  # after any other trouble
    idle_seconds: float = 0.05  # of the waiting room's threads
    most_quick: int = 16  # quick looks before a source that relapsed again and again is dealt with in passing
    steady_seconds: float = 300.0  # without a relapse: the next one counts as the first


Work = Callable[[SourceEntry], bool | None]  # False: how long it took says nothing of the table


class WaitingRoom:
    """Work that needs patience: one piece a duty and source at a time, what was quick the last time first."""

    def __init__(self, state: SharedState, settings: TablesSettings) -> None:
        self._state, self.settings = state, settings
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, int], tuple[TableDuty, SourceEntry]] = {}
        self._in_hand: set[tuple[str, int]] = set()

    def put(self, duty: "TableDuty", entry: SourceEntry) -> None:
        """To be done when it is due; nothing happens where it waits already or is being done."""
        key = (duty.name, id(entry))
        with self._lock:
            if key not in self._in_hand:
                self._waiting.setdefault(key, (duty, entry))

    def work(self, tier: int) -> float:
        """Does one piece of work of that tier; returns the seconds until there may be another."""
        now = time.monotonic()
        with self._lock:
            due = [
                (entry.turn(duty.name).took, entry.turn(duty.name).due, key)
                for key, (duty, entry) in self._waiting.items()
                if entry.turn(duty.name).tier == tier and entry.turn(duty.name).due <= now
            ]
            if not due:
                return self.settings.idle_seconds
            key = min(due)[-1]
            duty, entry = self._waiting.pop(key)
            self._in_hand.add(key)
        try:
            if self._state.serves(entry):
                duty.attempt(entry)
        finally:
            with self._lock:
                self._in_hand.discard(key)
        return 0.0


class TableDuty:
    """One duty's work on users' tables. `work` raises GiveUp where a table is in trouble; it is told at the
    source, and tried again later.

    `share`: of the time that one source's turns in the waiting room may take.
    """

    def __init__(self, name: str, work: Work, room: WaitingRoom, *, share: float = 1.0) -> None:
        self.name, self._work, self._room, self._share = name, work, room, share

    def visit(self, entry: SourceEntry) -> bool:
        """One turn of a source, here and now where it is quick, else in the waiting room. False: it used up
        our patience, or is in trouble.
        """
        turn = entry.turns.get(self.name)
        if turn is None or turn.tier == 0:
            return (turn is None or time.monotonic() >= turn.due) and self.attempt(entry)
        self._room.put(self, entry)
        return True

    def due(self, entry: SourceEntry) -> bool:
        """Whether a visit would do anything now."""
        turn = entry.turns.get(self.name)
        return turn is None or time.monotonic() >= turn.due

    def attempt(self, entry: SourceEntry) -> bool:
        """One turn within the patience of the source's tier; raises RetryLater where the database is away."""
        tier, began = entry.tier(self.name), time.monotonic()
        try:
            with patient(self._room.settings.tiers[tier]):
                telling = self._work(entry)
        except GiveUp as error:
            self.failed(entry, error)
            entry.turn(self.name).took = time.monotonic() - began
            return False
        if self.name in entry.turns and telling is not False:
            self._succeeded(entry, entry.turns[self.name], time.monotonic() - began)
        entry.worked(self.name)
        return True

    def failed(self, entry: SourceEntry, error: GiveUp) -> None:
        """What kept us from a source: where it was our patience, the next tier has more; nothing is told
        before that is used up, too.
        """
        turn, settings, now = entry.turn(self.name), self._room.settings, time.monotonic()
        last = len(settings.tiers) - 1
        turn.quick, turn.due = 0, now
        if error.reason in (TABLE_LOCKED.name, TABLE_SLOW.name) and turn.tier == 0 < last:
            turn.relapses = turn.relapses + 1 if now - turn.returned < settings.steady_seconds else 0
            turn.tier, turn.failures, turn.took = 1, 0, 0.0
            return
        turn.failures += 1
        if error.reason == TABLE_LOCKED.name:
            turn.tier = min(1, last)  # a lock is no reason to wait longer each time
            turn.due = now + min(
                settings.longest_locked_seconds, settings.locked_seconds * 2.0 ** (turn.failures - 1)
            )
            if turn.failures == 1:
                return  # many a lock is gone in the blink of an eye
        elif error.reason == TABLE_SLOW.name and turn.tier < last:
            turn.tier += 1
            return
        else:
            turn.due = now + settings.error_seconds
        entry.met(self.name, error)

    def _succeeded(self, entry: SourceEntry, turn: Turn, took: float) -> None:
        settings, now = self._room.settings, time.monotonic()
        turn.failures, turn.took = 0, took
        if turn.tier == 0:
            return
        turn.due = now + took * (1 / self._share - 1)
        if took * 1000 > settings.tiers[turn.tier - 1].statement_ms / 4:
            turn.quick = 0
            return
        turn.quick += 1
        if turn.quick > min(settings.most_quick, 2**turn.relapses):
            turn.tier, turn.quick, turn.returned = turn.tier - 1, 0, now
