"""Moves a bounded window of each source's pending rows into the ledger.

The user's table stays the queue: priorities and deletions there keep working, and a million rows cost nothing. Keys that have enough waiting in the
ledger are left out of the window, so that a throttled key never fills it.
"""

import time
from dataclasses import dataclass

from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.errors import GiveUp, RetryLater
from rowlock_operator.rows.source import poll

UNREACHABLE = "DatabaseUnreachable"


@dataclass(frozen=True)
class FeederSettings:
    window: int = 1000  # waiting runs a source may have, saturated keys not counted
    per_key: int = 50  # a key with this many waiting is saturated
    hard_cap: int = 20_000  # waiting runs a source may have at all
    batch: int = 500  # rows a claim; 41,000 rows/s against 21,000 with 100
    refresh_seconds: float = 0.25  # how old the picture of the window may be
    whole_look_seconds: float = 60.0  # sources without status column: look without the cursor
    longest_pause_seconds: float = 2.0  # an expensive look (no index) pauses at most this long
    share: float = 0.2  # of the time that one source's looks may take
    error_pause_seconds: float = 5.0


@dataclass
class _Pace:
    """When to look at one source again, and what its window was."""

    next_look: float = 0.0
    refreshed: float = -1e9
    whole_look: float = -1e9
    room: int = 0
    saturated: list[str] | None = None
    idle: bool = False  # the last claim took nothing


class Feeder:
    def __init__(self, state: SharedState, settings: FeederSettings, *, idle_seconds: float = 0.05) -> None:
        self._state, self._settings, self._idle = state, settings, idle_seconds
        self._paces: dict[int, _Pace] = {}

    def run_once(self) -> int:
        """One look at every source whose turn it is; returns how many rows became runs."""
        suspended = {q.queue_id for q in self._state.queue_entries() if q.suspended}
        now = time.monotonic()
        due: list[tuple[SourceEntry, _Pace]] = []
        for entry in self._state.source_entries():
            pace = self._paces.setdefault(id(entry), _Pace())
            if not entry.suspended and entry.source.queue_id not in suspended and now >= pace.next_look:
                due.append((entry, pace))
        if len(self._paces) > 2 * len(self._state.sources) + 10:
            self._paces = {id(e): self._paces[id(e)] for e in self._state.source_entries() if id(e) in self._paces}
        return sum(self._feed(entry, pace) for entry, pace in self._with_rows(due))

    def _with_rows(self, due: list[tuple[SourceEntry, "_Pace"]]) -> list[tuple[SourceEntry, "_Pace"]]:
        """Those that are worth a claim. Idle ones are asked in one statement.

        Not so a table that lacks its index (asked alone, at its own pace), nor one without a status column (its claim has a cursor; a look has none)."""
        idle = [(e, pace) for e, pace in due if pace.idle and e.source.inspection.advice is None and e.source.plan.status_column]
        if not idle:
            return due
        try:
            found = poll(idle[0][0].source.pool, [entry.source for entry, _ in idle])
        except RetryLater as error:
            for entry, _ in due:
                entry.error, entry.error_reason = str(error), UNREACHABLE
            raise
        except GiveUp:
            return due  # one of the tables is in trouble: each alone, so that only that one suffers
        now = time.monotonic()
        for entry, pace in idle:
            if entry.source.source_id not in found:
                pace.next_look = now + self._idle
                entry.error = entry.error_reason = None
        return [(entry, pace) for entry, pace in due if (entry, pace) not in idle or entry.source.source_id in found]

    def _feed(self, entry: SourceEntry, pace: _Pace) -> int:
        settings, began = self._settings, time.monotonic()
        try:
            if began - pace.refreshed > settings.refresh_seconds or pace.room <= 0:
                self._refresh(entry, pace)
            taken = 0
            if pace.room > 0:
                whole = began - pace.whole_look > settings.whole_look_seconds
                asked = min(settings.batch, pace.room)
                taken = entry.source.claim(asked, pace.saturated or [], whole=whole)
                pace.room -= taken
                if whole:
                    pace.whole_look = began
                pace.idle = taken == 0
                if taken < asked:
                    pace.next_look = self._pause(began)
            else:
                pace.next_look = time.monotonic() + self._idle
            entry.error = entry.error_reason = None
            return taken
        except (GiveUp, RetryLater) as error:
            # Another source of the same database must not wait for this one.
            entry.error, entry.error_reason = str(error), getattr(error, "reason", UNREACHABLE)
            pace.next_look = time.monotonic() + settings.error_pause_seconds
            pace.refreshed = -1e9
            if isinstance(error, RetryLater):
                raise
            return 0

    def _pause(self, began: float) -> float:
        now = time.monotonic()
        took = now - began
        return now + max(self._idle, min(self._settings.longest_pause_seconds, took * (1 / self._settings.share - 1)))

    def _refresh(self, entry: SourceEntry, pace: _Pace) -> None:
        settings = self._settings
        waiting = entry.source.window().waiting
        keyed = entry.source.plan.turn_column is not None
        saturated = [key for key, n in waiting.items() if n >= settings.per_key] if keyed else []
        total = sum(waiting.values())
        free = settings.window - (total - sum(waiting[key] for key in saturated))
        pace.room = max(0, min(free, settings.hard_cap - total))
        pace.saturated, pace.refreshed = saturated, time.monotonic()
