"""Moves a bounded window of each source's pending rows into the ledger.

The user's table stays the queue: priorities and deletions there keep working, and a million rows cost nothing. Keys that have enough waiting in the
ledger are left out of the window, so that a throttled key never fills it.
"""

import time
from dataclasses import dataclass

from rowlock_operator.api.reasons import ROW_REFUSED
from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.errors import GiveUp, RetryLater
from rowlock_operator.rows.source import poll

DUTY = "feeder"
REFUSED = "refused rows"  # key of the source's troubles


@dataclass(frozen=True)
class FeederSettings:
    window: int = 1000  # waiting runs a source may have, saturated keys not counted
    per_key: int = 50  # a key with this many waiting is saturated
    hard_cap: int = 20_000  # waiting runs a source may have at all
    batch: int = 500  # rows a claim; 41,000 rows/s against 21,000 with 100
    refresh_seconds: float = 0.25  # how old the picture of the window may be while it matters
    old_seconds: float = 5.0  # and otherwise
    whole_look_seconds: float = 60.0  # sources without status column: look without the cursor
    longest_pause_seconds: float = 2.0  # an expensive look (no index) pauses at most this long
    share: float = 0.2  # of the time that one source's looks may take
    slow_seconds: float = 0.2  # a look that takes longer is made in a thread of its own from then on
    error_pause_seconds: float = 5.0
    part: int = 100  # sleeping sources asked in one statement: it locks each table and its indexes
    poll_share: float = 0.1  # of the time that asking them may take


@dataclass(frozen=True)
class Fed:
    """What one look at all sources moved; `more`: a source gave a whole batch."""

    rows: int = 0
    more: bool = False


@dataclass
class _Pace:
    """When to look at one source again, and what its window was."""

    next_look: float = 0.0
    refreshed: float = -1e9
    whole_look: float = -1e9
    room: int = 0
    saturated: list[str] | None = None
    taken: int = 0  # since it was refreshed
    idle: bool = True  # the last claim took nothing, or there was none yet
    more: bool = False  # the last claim took all that was asked for
    batch: int = 1_000_000  # rows a claim, since one was refused
    cheap: bool = True  # a look costs so little that a hint is worth one


class Feeder:
    """Sources are *awake* (looked at one by one, each at its own pace) or *asleep*: nothing was pending when they were last asked.

    The sleeping ones are asked in turn, a part of them in one statement, and the asking takes at most a share of the time: the poll of one source
    comes every `idle_seconds`, that of 5,000 some seconds apart, and no source with rows waits for them."""

    def __init__(self, state: SharedState, settings: FeederSettings, *, idle_seconds: float = 0.05, slow: bool = False) -> None:
        self._state, self._settings, self._idle, self._slow = state, settings, idle_seconds, slow
        self._paces: dict[int, _Pace] = {}
        self._awake: dict[int, SourceEntry] = {}
        self._asleep: dict[int, SourceEntry] = {}
        self._parts: list[list[SourceEntry]] = []  # what is left of this turn through the sleeping ones
        self._version = -1
        self._turn_began = self._part_due = 0.0

    def run_once(self, *, hinted: bool = False) -> Fed:
        """One look at every source whose turn it is, and where somebody hinted at a row, at every one that is cheap to look at."""
        if self._version != self._state.version:
            self._sort()
        if hinted:
            self._part_due = self._turn_began = 0.0
        self._ask_sleeping()
        rows, more = 0, False
        for key, entry in list(self._awake.items()):
            pace = self._paces[key]
            if time.monotonic() >= pace.next_look or (hinted and pace.cheap and entry.error is None):
                rows += self._feed(entry, pace)
                more = more or pace.more
                if pace.idle and entry.error is None and _may_sleep(entry):
                    self._asleep[key] = self._awake.pop(key)
        return Fed(rows, more)

    def _sort(self) -> None:
        """Registrations changed: who is awake and who sleeps."""
        self._version = self._state.version
        suspended = {q.queue_id for q in self._state.queue_entries() if q.suspended}
        entries = {
            id(e): e
            for e in self._state.source_entries()
            if not e.suspended and e.source.queue_id not in suspended and e.slow == self._slow
        }
        for entry in self._state.source_entries():
            if id(entry) not in entries and entry.slow == self._slow:
                entry.worked(DUTY)  # nothing is asked of it
        self._paces = {key: self._paces.get(key) or _Pace() for key in entries}
        self._asleep = {key: entry for key, entry in entries.items() if key not in self._awake and _may_sleep(entry)}
        self._awake = {key: entry for key, entry in entries.items() if key not in self._asleep}

    def _ask_sleeping(self) -> None:
        """Asks one part of the sleeping sources, where it is time for it, and wakes those that have rows."""
        began = time.monotonic()
        if began < self._part_due:
            return
        if not self._parts:
            if began - self._turn_began < self._idle / 4:  # the claimer's pauses set the pace; rounds without a pause need not ask
                return
            sleeping, size = list(self._asleep.values()), self._settings.part
            self._parts = [sleeping[at : at + size] for at in range(0, len(sleeping), size)][::-1]
            self._turn_began = began
            if not self._parts:
                return
        part = [entry for entry in self._parts.pop() if id(entry) in self._asleep]
        if not part:
            return
        try:
            found = poll(part[0].source.pool, [entry.source for entry in part])
        except RetryLater as error:
            for entry in (*self._asleep.values(), *self._awake.values()):
                entry.met(DUTY, error)
            raise
        except GiveUp:
            found = {entry.source.source_id for entry in part}  # one of the tables is in trouble: each alone, so that only that one suffers
        took = time.monotonic() - began
        if not self._slow and took > self._settings.slow_seconds:
            found, took = {entry.source.source_id for entry in part}, 0.0  # likewise: each alone shows which it is, and that one goes
        for entry in part:
            entry.idle = entry.source.source_id not in found
            if entry.idle:
                entry.pending = sum(entry.left_out)
                _tell_refused(entry)
                entry.worked(DUTY)
            else:
                self._awake[id(entry)] = self._asleep.pop(id(entry))
        pause = took * (1 / self._settings.poll_share - 1)
        self._part_due = time.monotonic() + min(pause, self._settings.longest_pause_seconds)

    def _feed(self, entry: SourceEntry, pace: _Pace) -> int:
        settings, began = self._settings, time.monotonic()
        try:
            if self._outdated(entry, pace, began):
                self._refresh(entry, pace)
            taken, pace.more = 0, False
            if pace.room > 0:
                whole = began - pace.whole_look > settings.whole_look_seconds
                asked = min(settings.batch, pace.room, pace.batch)
                try:
                    taken = entry.source.claim(asked, pace.saturated or [], whole=whole)
                except GiveUp as error:
                    if self._isolated(entry, pace, error, asked=asked, whole=whole):
                        return 0
                    raise
                self._hand_on(entry, time.monotonic() - began)
                pace.batch = min(settings.batch, asked * 8)
                pace.room -= taken
                pace.taken += taken
                if whole:
                    pace.whole_look = began
                pace.idle = taken == 0
                pace.more = taken == asked
                if taken < asked:
                    _tell_refused(entry)
                    pace.next_look = self._pause(began)
                    pace.cheap = pace.next_look - began < 2 * self._idle
                    if taken and pace.cheap:
                        pace.next_look = 0.0  # where some came, more may: at the claimer's busy pace
            else:
                pace.next_look = time.monotonic() + self._idle
            entry.worked(DUTY)
            return taken
        except (GiveUp, RetryLater) as error:
            # Another source of the same database must not wait for this one.
            entry.met(DUTY, error)
            pace.next_look = time.monotonic() + settings.error_pause_seconds
            pace.refreshed = -1e9
            if isinstance(error, RetryLater):
                raise
            return 0

    def _hand_on(self, entry: SourceEntry, took: float) -> None:
        """A source whose looks take long is fed beside the others, and comes back once they do not. Nothing is done with it here after that."""
        slow = took > self._settings.slow_seconds / (4 if entry.slow else 1)
        if slow != entry.slow:
            entry.slow = slow
            self._state.touch()

    def _isolated(self, entry: SourceEntry, pace: _Pace, error: GiveUp, *, asked: int, whole: bool) -> bool:
        """Whether there is a way on: fewer rows at a time, until the one that is refused stands alone and is left out."""
        if error.reason != ROW_REFUSED.name:
            return False
        pace.more = True  # the others wait: no pause
        if asked > 1:
            pace.batch = asked // 8 or 1
            return True
        if entry.source.refuse_head(pace.saturated or [], error, whole=whole):
            _tell_refused(entry)
            return True
        return False

    def _outdated(self, entry: SourceEntry, pace: _Pace, now: float) -> bool:
        """Others hardly ever put something into the window (a retry, a requeue): a picture with room enough stays good until we do."""
        age = now - pace.refreshed
        if pace.room <= 0 or pace.saturated is None or age > self._settings.old_seconds:
            return True
        narrow = pace.room < self._settings.batch or pace.saturated or (pace.taken and entry.source.plan.turn_column is not None)
        return bool(narrow) and age > self._settings.refresh_seconds

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
        pace.saturated, pace.refreshed, pace.taken = saturated, time.monotonic(), 0


def _tell_refused(entry: SourceEntry) -> None:
    refused = entry.source.refused
    if refused or entry.refused:
        entry.refused = refused.reasons()
    if refused.trouble is not None:
        entry.met(REFUSED, refused.trouble)
    else:
        entry.worked(REFUSED)


def _may_sleep(entry: SourceEntry) -> bool:
    """Not a table that lacks its index (asked alone, at its own pace), nor one without a status column (its claim has a cursor; a look has none)."""
    return entry.source.inspection.advice is None and entry.source.plan.status_column is not None
