"""Rows that the database does not let become runs: left out, so that they hold up no others, and tried again
a few at a time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rowlock_operator.errors import GiveUp

MOST = 10_000  # rows of one source: each claim passes over all of them
DOUBTFUL = 20  # so many newly refused in a row, and none that passed: then it may not be the rows
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 60.0
# Rows on trial come first again, and a good one behind them waits until they are refused: few at a time, and
# hardly any while new ones are found.
_FEW, _TRIAL_SECONDS, _BUSY_TRIAL_SECONDS = 5, 1.0, 10.0


@dataclass(slots=True)
class _Row:
    why: str
    pause: float
    until: float


class Refused:
    """For one thread at a time. `version` grows whenever other rows are to be left out; `trouble` is what
    refuses all rows, or None.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rows: dict[str, _Row] = {}
        self._trial: set[str] = set()  # rows that may be taken again, if what refused them is gone
        self._size, self._next_trial = _FEW, 0.0
        self._finding = False  # rows are being found, one after the other
        self._vain = 0
        self._any_passed = False
        self.trouble: GiveUp | None = None
        self.version = 0

    def __bool__(self) -> bool:
        return bool(self._rows)

    def has_room(self, key: str) -> bool:
        """Whether this row can be left out, too."""
        return key in self._rows or len(self._rows) < MOST

    def reasons(self) -> dict[str, str]:
        """Key of a row -> why it was refused the last time."""
        return {key: row.why for key, row in self._rows.items()}

    def keys(self) -> list[str]:
        """Rows to leave out now."""
        now = self._clock()
        if (
            self._rows
            and not self._trial
            and now >= self._next_trial + (_BUSY_TRIAL_SECONDS if self._finding else 0.0)
        ):
            due = [key for key, row in self._rows.items() if row.until <= now]
            self._trial = set(due[: self._size])
            self._next_trial = now + _TRIAL_SECONDS
            self.version += bool(self._trial)
        return [key for key in self._rows if key not in self._trial]

    def add(self, key: str, why: str, trouble: GiveUp, *, all_of_them: bool = False) -> None:
        """`all_of_them`: no row beside it passed, and each was seen to be refused; else it takes many to say
        that it is not the rows.
        """
        known = self._rows.get(key)
        if not self._rows:
            self._next_trial = self._clock()
        pause = FIRST_PAUSE_SECONDS if known is None else min(LONGEST_PAUSE_SECONDS, known.pause * 2)
        self._rows[key] = _Row(why, pause, self._clock() + pause)
        if key in self._trial:
            self._trial.discard(key)
            self._size = _FEW
        self.version += 1
        self._vain += known is None
        self._finding = self._finding or known is None
        if self._vain > DOUBTFUL or (all_of_them and not self._any_passed):
            self.trouble = trouble

    def passed(self, taken: int, *, exhausted: bool) -> None:
        """A claim went through; `exhausted`: there was nothing left to take, so what was on trial is taken,
        or no longer pending.
        """
        if taken:
            self._vain, self._any_passed, self.trouble = 0, True, None
        self._finding = self._finding and not exhausted
        if exhausted and self._trial:
            for key in self._trial:
                self._rows.pop(key, None)
            self._trial = set()
            self._size, self._next_trial = self._size * 4, 0.0
            self.version += 1
        if not self._rows:
            self._vain, self.trouble = 0, None
