"""Outcomes on their way from the outbox into the status column of one user's table.

A piece of them is one transaction. Where the table refuses one, each row of the piece is written behind a
savepoint, and what is refused is held with a time of its own; the others pass it. What is refused only at the
commit, or takes too long for so many, makes the pieces smaller until it stands alone. A row that somebody has
locked is held likewise.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import psycopg2
from psycopg2 import extensions

from rowlock_ledger.statements import load_statements
from rowlock_operator.api.reasons import ROW_REFUSED
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.outcomes import Outcome, Word, words
from rowlock_operator.rows.pool import Pool, patience_now, row_refused, said, took_too_long
from rowlock_operator.rows.source_table import Inspection, SourcePlan

_SQL = load_statements("rowlock_operator.rows", "sql/source.sql")
PIECE = 500
_PASS_SECONDS, _AGAIN_SECONDS = 1.0, 0.1
_EACH_SECONDS = 0.5  # of writing row by row, with the locks of the whole piece held


@dataclass(frozen=True)
class _Hold:
    """Seconds before the next try, doubled up to `longest`; so many tries are not spoken of."""

    first: float
    longest: float
    quiet: int = 0


_REFUSED, _LOCKED = _Hold(5.0, 60.0), _Hold(0.5, 10.0, quiet=4)


@dataclass(frozen=True)
class _Piece:
    """What a piece found in the outbox, how many of its lines were settled, and whether some were not tried
    for want of time.
    """

    found: int
    settled: int
    rest: bool = False


class _Text(Protocol):
    def __call__(self, cursor: extensions.cursor, name: str) -> str: ...


class WriteBack:
    """For one thread at a time."""

    def __init__(self, pool: Pool, plan: SourcePlan, inspection: Inspection, source_id: int) -> None:
        self._pool, self._plan, self._inspection, self._source_id = pool, plan, inspection, source_id
        self._piece, self._piece_again = PIECE, 1
        self._trying: list[Outcome] = []
        self._left_alone = 0

    def take_left_alone(self) -> int:
        """Rows left alone since the last call."""
        n, self._left_alone = self._left_alone, 0
        return n

    def run(self, text: _Text) -> int:
        """First what was not tried yet, then for a moment what is due again; returns how many lines left the
        outbox.
        """
        settled, self._piece = self._pieces(text, self._piece, again=False, seconds=_PASS_SECONDS)
        settled_again, self._piece_again = self._pieces(
            text, self._piece_again, again=True, seconds=_AGAIN_SECONDS
        )
        return settled + settled_again

    def _pieces(self, text: _Text, size: int, *, again: bool, seconds: float) -> tuple[int, int]:
        """One whole piece, or smaller ones for so long: (how many lines were settled, the size to go on
        with).
        """
        settled, until = 0, time.monotonic() + seconds
        each, each_helps = False, True
        while True:
            asked = size
            try:
                piece = self._write(text, asked, again=again, each=each)
            except GiveUp as error:
                if not _of_one_row(error):
                    raise
                if asked > 1 and not each and each_helps and error.reason == ROW_REFUSED.name:
                    each = True
                    continue
                each_helps = each_helps and not each
                each = False
                if asked == 1:
                    self._hold_refused(error)
                size = asked // 8 or 1
            else:
                settled += piece.settled
                size = asked if each else min(PIECE, asked * 8)
                each = piece.rest
                if not piece.rest and (asked == PIECE or piece.found < asked):
                    return settled, size
            if time.monotonic() > until:
                return settled, size

    def _write(self, text: _Text, n: int, *, again: bool, each: bool) -> _Piece:
        """One piece. `each`: row by row."""
        plan = self._plan
        with self._pool.on_table(f"writing outcomes back to source {plan.name}") as cursor:
            cursor.execute(_SQL["outbox_take"], {"source": self._source_id, "n": n, "again": again})
            self._trying = [Outcome(*row) for row in cursor.fetchall()]
            if not self._trying:
                return _Piece(0, 0)
            wanted = words(self._trying, plan.status_values)
            says = self._lock(cursor, text, wanted)
            locked = self._locked(cursor, text, [key for key in wanted if key not in says])
            alone = {key: "gone" for key in wanted if key not in says and key not in locked}
            newer = self._newer(cursor, [wanted[key] for key in says])
            alone |= {key: "newer" for key, active in newer.items() if active}
            open_ = [word for key, word in wanted.items() if key in says and key not in newer]
            ours = set(plan.status_values.values())
            mine = [
                word
                for word in open_
                if any(word.may_follow(status, plan.claimed, ours) for status in says[word.key])
            ]
            alone |= dict.fromkeys({word.key for word in open_} - {word.key for word in mine}, "changed")
            tried, refused, swallowed = mine, dict[str, list[Word]](), set[str]()
            if each:
                tried, refused, swallowed = self._update_each(cursor, text, mine, says)
            elif mine:
                swallowed = self._update(cursor, text, mine, says)
            for why, of in refused.items():
                self._hold_rows(cursor, of, why, _REFUSED)
            self._hold_rows(
                cursor, [wanted[key] for key in locked], "somebody else holds a lock on it", _LOCKED
            )
            self._hold_rows(
                cursor, [wanted[key] for key in swallowed], "a trigger or a rule swallowed it", _REFUSED
            )
            held = swallowed.union(word.key for of in refused.values() for word in of)
            settled = [wanted[key] for key in alone] + [word for word in tried if word.key not in held]
            done = self._settle(cursor, settled, alone)
        self._left_alone += len(alone)
        return _Piece(len(self._trying), done, rest=len(tried) < len(mine))

    def _lock(
        self, cursor: extensions.cursor, text: _Text, keys: Iterable[str]
    ) -> dict[str, list[str | None]]:
        """Key -> what its row says (a view may show it twice), of the rows that are free and now ours."""
        cursor.execute(text(cursor, "lock_rows"), {"keys": list(keys)})
        return _by_key(cursor.fetchall())

    def _locked(self, cursor: extensions.cursor, text: _Text, keys: list[str]) -> set[str]:
        """Those of the keys whose rows are there: somebody else holds them."""
        if not keys:
            return set()
        cursor.execute(text(cursor, "read_back"), {"keys": keys})
        return {key for key, there, _ in cursor.fetchall() if there}

    def _newer(self, cursor: extensions.cursor, of: list[Word]) -> dict[str, bool]:
        """Keys whose mark may be another run's (true), or that have a newer outcome by now (false: next time,
        with that one).
        """
        if not of:
            return {}
        parameters = {
            "source": self._source_id,
            "keys": [word.key for word in of],
            "runs": [word.run for word in of],
            "attempts": [word.attempt for word in of],
            "last": [word.ids[-1] for word in of],
        }
        cursor.execute(_SQL["outbox_newer"], parameters)
        return dict(cursor.fetchall())

    def _update(
        self, cursor: extensions.cursor, text: _Text, mine: list[Word], says: dict[str, list[str | None]]
    ) -> set[str]:
        """Writes; returns the keys of rows that say what they said before."""
        parameters: dict[str, Any] = {
            "keys": [word.key for word in mine],
            "values": [word.value for word in mine],
            "errors": [word.error for word in mine],
            "requeued": [word.requeued for word in mine],
            "claimed": self._plan.claimed,
            "ours": sorted(set(self._plan.status_values.values())),
        }
        cursor.execute(text(cursor, "write_back"), parameters)
        if cursor.rowcount >= len(mine) and self._inspection.relation != "view":
            return set()
        cursor.execute(text(cursor, "read_back"), {"keys": parameters["keys"]})
        now = _by_key([(key, status) for key, there, status in cursor.fetchall() if there])
        return {
            word.key
            for word in mine
            if word.value not in says[word.key] and now.get(word.key) == says[word.key]
        }

    def _update_each(
        self, cursor: extensions.cursor, text: _Text, mine: list[Word], says: dict[str, list[str | None]]
    ) -> tuple[list[Word], dict[str, list[Word]], set[str]]:
        """Row by row for a moment: those that were tried, those that were refused by what was said, and keys
        of those that were swallowed.
        """
        tried, refused, swallowed = list[Word](), dict[str, list[Word]](), set[str]()
        until = time.monotonic() + _EACH_SECONDS
        for word in mine:
            if time.monotonic() > until:
                break
            cursor.execute("savepoint one_row")
            try:
                swallowed |= self._update(cursor, text, [word], says)
                cursor.execute("release savepoint one_row")
            except psycopg2.Error as error:
                if not row_refused(error):
                    raise
                cursor.execute("rollback to savepoint one_row")
                refused.setdefault(said(error), []).append(word)
            tried.append(word)
        return tried, refused, swallowed

    def _settle(self, cursor: extensions.cursor, of: list[Word], alone: dict[str, str]) -> int:
        ids = [line for word in of for line in word.ids]
        left = [word for word in of if word.key in alone and word.run is not None]
        parameters = {
            "ids": ids,
            "runs": [word.run for word in left],
            "whys": [alone[word.key] for word in left],
        }
        cursor.execute(_SQL["outbox_settle"], parameters)
        return len(ids)

    def _hold_rows(self, cursor: extensions.cursor, of: list[Word], why: str, hold: _Hold) -> None:
        if of:
            ids = [line for word in of for line in word.ids]
            cursor.execute(_SQL["outbox_hold"], {"ids": ids, "why": why, **asdict(hold)})

    def _hold_refused(self, error: GiveUp) -> None:
        """The row of the last piece, which stood alone in it."""
        cause = error.__cause__
        why = said(cause) if isinstance(cause, psycopg2.Error) else str(error)
        parameters = {"ids": [line.id for line in self._trying], "why": why, **asdict(_REFUSED)}
        self._pool.rows("holding an outcome that was refused", _SQL["outbox_hold"], parameters)


def _by_key(rows: Sequence[tuple[Any, ...]]) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    for key, status in rows:
        found.setdefault(key, []).append(status)
    return found


def _of_one_row(error: GiveUp) -> bool:
    """Whether fewer rows may pass: one was refused, or it took too long for so many."""
    cause = error.__cause__
    return error.reason == ROW_REFUSED.name or (
        isinstance(cause, psycopg2.Error) and took_too_long(cause) and patience_now().final
    )
