"""Moves a bounded window of each source's pending rows into the ledger.

The user's table stays the queue: priorities and deletions there keep working, and a million rows cost
nothing. Keys that have enough waiting in the ledger are left out of the window, so that a throttled key never
fills it.
"""

import time
from collections import deque
from dataclasses import dataclass

from rowlock_operator.api.reasons import ROW_REFUSED, TABLE_SLOW
from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.dispatch.tables import TableDuty, WaitingRoom
from rowlock_operator.errors import GiveUp, RetryLater
from rowlock_operator.rows.pool import Patience, patient
from rowlock_operator.rows.source import Window, poll, windows

DUTY = "feeder"
REFUSED = "refused rows"  # key of the source's troubles
MOST_SECONDS = 10.0  # of a claim: its batch grows as long as the larger one stays below


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
    part: int = 100  # sleeping sources asked in one statement: it locks each table and its indexes
    poll_share: float = 0.1  # of the time that asking them may take
    poll_patience: Patience = Patience(5, 100, final=False)
    # with each of a part that could not be asked in one statement
    glance: Patience = Patience(5, 40, final=False)
    doubtful_seconds: float = 0.1  # for glances in one pass
    alone_seconds: float = (
        10.0  # not asked together with others, after it was found to keep them from being answered
    )
    pass_seconds: float = 0.15  # for one pass through the sources; runs are handed out between two
    crowd: int = 16  # awake sources; with more, one whose rows were all taken sleeps at once
    full_rows: int = 5_000  # waiting runs counted in one statement, of sources whose window was full
    full_share: float = 0.1  # of the time that counting these may take


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
    fed: int = 0  # rows, by the last look
    took: float = 0.0  # seconds, the last look
    alone_until: float = 0.0  # it was what kept a poll from being answered
    per_key: int = 50  # rows of one throttled key in one claim
    waiting: int = 0  # in the window, when it was refreshed
    from_start_at: float = (
        0.0  # when to look from the beginning again, where a look may begin behind a throttled key's rows
    )

    @property
    def full(self) -> bool:
        """Whether there was no room when it was last looked into."""
        return self.refreshed > 0 and self.room <= 0 and not self.taken


class Feeder:
    """Sources are *awake* (looked at one by one, each at its own pace) or *asleep*: nothing was pending when
    they were last asked.

    The sleeping ones are asked in turn, a part of them in one statement, and the asking takes at most a share
    of the time: the poll of one source comes every `idle_seconds`, that of 5,000 some seconds apart, and no
    source with rows waits for them. A part with a table that is locked, broken or large cannot be asked so:
    its sources are *doubtful*, and each is glanced at alone.

    A pass lasts a moment, and the next one goes on where it ended; it ends, too, where one source used up our
    patience.
    """

    def __init__(
        self, state: SharedState, settings: FeederSettings, room: WaitingRoom, *, idle_seconds: float = 0.05
    ) -> None:
        self._state, self._settings, self._idle = state, settings, idle_seconds
        self._tables = TableDuty(DUTY, self._feed, room)
        self._paces: dict[int, _Pace] = {}
        self._awake: dict[int, SourceEntry] = {}
        self._asleep: dict[int, SourceEntry] = {}
        self._doubtful: dict[int, SourceEntry] = {}  # of the sleeping ones
        self._parts: list[list[SourceEntry]] = []  # what is left of this turn through the sleeping ones
        self._turn: deque[int] = deque()  # what is left of this one through the others
        self._polls: deque[float] = deque(maxlen=8)  # seconds that asking took for each source
        self._version = -1
        self._turn_began = self._part_due = self._full_due = 0.0

    def run_once(self, *, hinted: bool = False) -> Fed:
        """A look at the sources whose turn it is, and where somebody hinted at a row, at every one that is
        cheap to look at.
        """
        if self._version != self._state.version:
            self._sort()
        if hinted:
            self._part_due = self._turn_began = 0.0
        self._ask_sleeping()
        self._ask_doubtful()
        self._ask_full()
        until = time.monotonic() + self._settings.pass_seconds
        rows, more = 0, False
        self._turn = self._turn or deque(self._awake)
        while self._turn:
            key = self._turn.popleft()
            entry = self._awake.get(key)
            if entry is None:
                continue
            pace, now = self._paces[key], time.monotonic()
            if pace.full or not self._tables.due(entry):
                continue
            if now < pace.next_look and not (hinted and pace.cheap and entry.error is None):
                continue
            if entry.tier(DUTY):
                if not self._fell_asleep(key, pace):
                    self._tables.visit(entry)
                continue
            pace.fed, pace.more = 0, False
            done = self._tables.visit(entry)
            rows, more = rows + pace.fed, more or pace.more
            if done:
                self._fell_asleep(key, pace)
            if not done or time.monotonic() > until:
                break
        return Fed(rows, more or bool(self._turn or self._doubtful))

    def _fell_asleep(self, key: int, pace: _Pace) -> bool:
        """Whether nothing was pending, and the source may be asked together with others from now on; if its
        claims need patience, they have it all the same.
        """
        entry, now = self._awake[key], time.monotonic()
        quick = pace.took * 1000 < self._settings.glance.statement_ms
        if not (
            pace.idle and quick and now >= pace.alone_until and entry.error is None and _may_sleep(entry)
        ):
            return False
        self._asleep[key] = self._awake.pop(key)
        return True

    def _sort(self) -> None:
        """Registrations changed: who is awake and who sleeps."""
        self._version = self._state.version
        suspended = {q.queue_id for q in self._state.queue_entries() if q.suspended}
        entries = {
            id(e): e
            for e in self._state.source_entries()
            if not e.suspended and e.source.queue_id not in suspended
        }
        for entry in self._state.source_entries():
            if id(entry) not in entries:
                entry.worked(DUTY)  # nothing is asked of it
        self._paces = {key: self._paces.get(key) or _Pace() for key in entries}
        self._asleep = {
            key: entry for key, entry in entries.items() if key not in self._awake and _may_sleep(entry)
        }
        self._awake = {key: entry for key, entry in entries.items() if key not in self._asleep}
        self._doubtful = {key: entry for key, entry in self._doubtful.items() if key in self._asleep}

    def _ask_sleeping(self) -> None:
        """Asks one part of the sleeping sources, where it is time for it, and wakes those that have rows."""
        began = time.monotonic()
        if began < self._part_due:
            return
        if not self._parts:
            if (
                began - self._turn_began < self._idle / 4
            ):  # the claimer's pauses set the pace; rounds without a pause need not ask
                return
            self._parts, size = [], self._settings.part
            for suspect in (
                True,
                False,
            ):  # who was in trouble once is not asked together with those who never were
                some = [
                    e
                    for key, e in self._asleep.items()
                    if key not in self._doubtful and (DUTY in e.turns) is suspect
                ]
                self._parts += [some[at : at + size] for at in range(0, len(some), size)]
            self._turn_began = began
            if not self._parts:
                return
        part = [
            entry
            for entry in self._parts.pop()
            if id(entry) in self._asleep and id(entry) not in self._doubtful
        ]
        if not part:
            return
        try:
            doubtful = self._asked(part, self._settings.poll_patience)
        except RetryLater as error:
            for entry in (*self._asleep.values(), *self._awake.values()):
                entry.met(DUTY, error)
            raise
        if doubtful:
            self._doubtful.update(doubtful)
            return  # the others need not wait for what this one took
        # What the asking costs, not what it waited for on a busy machine.
        self._polls.append((time.monotonic() - began) / len(part))
        pause = min(self._polls) * len(part) * (1 / self._settings.poll_share - 1)
        self._part_due = time.monotonic() + min(pause, self._settings.longest_pause_seconds)

    def _ask_doubtful(self) -> None:
        """A glance at each, so that only the one in trouble suffers: one that is locked or slow goes to the
        waiting room, one that is broken tells why.
        """
        until = time.monotonic() + self._settings.doubtful_seconds
        while self._doubtful and time.monotonic() < until:
            key = next(iter(self._doubtful))
            entry = self._doubtful.pop(key)
            self._asked([entry], self._settings.glance)

    def _asked(self, part: list[SourceEntry], patience: Patience) -> dict[int, SourceEntry]:
        """Asks these for pending rows; returns the doubtful ones, and leaves what there was no time for to
        the next turn.
        """
        with patient(patience):
            answers = poll(
                part[0].source.pool, [entry.source for entry in part], seconds=self._settings.doubtful_seconds
            )
        for entry in part:
            id_ = entry.source.source_id
            if id_ in answers.blamed:
                self._tables.failed(entry, answers.blamed[id_])
                self._paces[id(entry)].alone_until = time.monotonic() + self._settings.alone_seconds
                self._wake(id(entry))
            if id_ not in answers.found:
                continue
            entry.idle = not answers.found[id_]
            if entry.idle:
                entry.pending = sum(entry.left_out)
                _tell_refused(entry)
                entry.worked(DUTY)
            else:
                self._wake(id(entry))
        return {id(entry): entry for entry in part if entry.source.source_id in answers.doubtful}

    def _wake(self, key: int) -> None:
        """Its turn is the next."""
        self._awake[key] = self._asleep.pop(key)
        self._paces[key].idle = False
        self._turn = self._turn or deque(each for each in self._awake if each != key)
        self._turn.appendleft(key)

    def _ask_full(self) -> None:
        """Whether there is room again in windows that were full: of many in one statement, within a share of
        the time.
        """
        began, settings = time.monotonic(), self._settings
        if began < self._full_due:
            return
        full = [
            (pace.refreshed, key)
            for key in self._awake
            if (pace := self._paces[key]).full and began - pace.refreshed > self._idle
        ]
        asked: list[SourceEntry] = []
        rows = 0
        for _, key in sorted(full):
            asked.append(self._awake[key])
            rows += self._paces[key].waiting
            if rows >= settings.full_rows:
                break
        if not asked:
            return
        seen = windows(asked[0].source.pool, [entry.source for entry in asked])
        for entry in asked:
            self._take_picture(entry, self._paces[id(entry)], seen[entry.source.source_id])
        pause = (time.monotonic() - began) * (1 / settings.full_share - 1)
        self._full_due = time.monotonic() + min(pause, settings.longest_pause_seconds)

    def _feed(self, entry: SourceEntry) -> bool:
        """One claim of a source, where its window has room. False: it says nothing of how long its looks
        take.
        """
        settings, began, pace = self._settings, time.monotonic(), self._paces.get(id(entry))
        if pace is None:
            return False  # it is fed no more
        pace.fed, pace.more = 0, False
        try:
            if self._outdated(entry, pace, began):
                self._take_picture(entry, pace, entry.source.window())
            if pace.room <= 0:
                return True
            saturated = pace.saturated or []
            beyond = began < pace.from_start_at and entry.source.knows_place(saturated)
            whole = began - pace.whole_look > settings.whole_look_seconds
            asked = min(settings.batch, pace.room, pace.batch)
            try:
                taken = entry.source.claim(asked, saturated, per_key=pace.per_key, whole=whole, beyond=beyond)
            except GiveUp as error:
                if self._isolated(entry, pace, error, asked=asked, whole=whole):
                    return True
                raise
        except (GiveUp, RetryLater) as error:
            pace.refreshed = -1e9
            if isinstance(error, RetryLater):
                entry.met(DUTY, error)
            raise
        took = time.monotonic() - began
        if took * 8 < MOST_SECONDS:
            pace.batch = min(settings.batch, asked * 8)
        pace.fed = taken
        if not beyond:
            pace.took, pace.from_start_at = took, self._pause(began)
        pace.room -= taken
        pace.taken += taken
        if whole:
            pace.whole_look = began
        # Where some came, more may; but where many sources are awake, the poll finds them for less than
        # another claim of each.
        found = taken + entry.source.surplus
        pace.idle = found == 0 or (found < asked and len(self._awake) > settings.crowd)
        pace.more = found == asked
        if entry.source.surplus:
            pace.refreshed = -1e9  # these keys are saturated by now; whose turn is it?
        if found < asked:
            _tell_refused(entry)
            # Where the next look begins behind what made this one long, it need not wait for that.
            pace.next_look = (
                time.monotonic() + self._idle if entry.source.knows_place(saturated) else self._pause(began)
            )
            pace.cheap = pace.next_look - began < 2 * self._idle
            if taken and pace.cheap:
                pace.next_look = 0.0  # where some came, more may: at the claimer's busy pace
        return not beyond

    def _isolated(self, entry: SourceEntry, pace: _Pace, error: GiveUp, *, asked: int, whole: bool) -> bool:
        """Whether there is a way on: fewer rows at a time, until the one that is refused stands alone and is
        left out.
        """
        if error.reason == TABLE_SLOW.name:
            pace.batch = max(1, asked // 8)  # it may be the rows that take long, or a trigger on them
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
        """Others hardly ever put something into the window (a retry, a requeue): a picture with room enough
        stays good until we do.
        """
        age = now - pace.refreshed
        if pace.room <= 0 or pace.saturated is None or age > self._settings.old_seconds:
            return True
        narrow = (
            pace.room < self._settings.batch
            or pace.saturated
            or (pace.taken and entry.source.plan.turn_column is not None)
        )
        return bool(narrow) and age > self._settings.refresh_seconds

    def _pause(self, began: float) -> float:
        now = time.monotonic()
        took = now - began
        return now + max(
            self._idle, min(self._settings.longest_pause_seconds, took * (1 / self._settings.share - 1))
        )

    def _take_picture(self, entry: SourceEntry, pace: _Pace, window: Window) -> None:
        settings, waiting, total = self._settings, window.waiting, window.total
        keyed = entry.source.plan.turn_column is not None
        saturated = [key for key, n in waiting.items() if n >= settings.per_key] if keyed else []
        free = settings.window - (total - sum(waiting[key] for key in saturated))
        pace.room = max(0, min(free, settings.hard_cap - total))
        pace.per_key = settings.per_key
        if total >= settings.hard_cap and entry.source.plan.throttles_keys:
            # However much waits behind limits, a key with nothing in the ledger is not to wait for it.
            saturated, pace.per_key, pace.room = list(waiting), 1, settings.batch
        pace.saturated, pace.refreshed, pace.taken, pace.waiting = saturated, time.monotonic(), 0, total


def _tell_refused(entry: SourceEntry) -> None:
    refused = entry.source.refused
    if refused or entry.refused:
        entry.refused = refused.reasons()
    if refused.trouble is not None:
        entry.met(REFUSED, refused.trouble)
    else:
        entry.worked(REFUSED)


def _may_sleep(entry: SourceEntry) -> bool:
    """Not a table that lacks its index (asked alone, at its own pace), nor one without a status column (its
    claim has a cursor; a look has none).
    """
    return entry.source.inspection.advice is None and entry.source.plan.status_column is not None
