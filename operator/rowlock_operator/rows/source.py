"""One registered source: taking pending rows, telling them apart from vanished ones, writing outcomes
back.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import extensions

from rowlock_ledger.statements import load_statements
from rowlock_operator.api import reasons
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows import refused
from rowlock_operator.rows.pool import Pool
from rowlock_operator.rows.refused import Refused
from rowlock_operator.rows.source_table import Inspection, LeftOut, SourcePlan, compiled, long_columns
from rowlock_operator.rows.write_back import WriteBack

_SQL = load_statements("rowlock_operator.rows", "sql/source.sql")
_SETTING_ASIDE_SECONDS = 1.0  # in one claim: rows whose mark does not take


class _Overtaken(Exception):
    """A run of the same key was made after our picture of the table: what is remembered of its row would keep
    it from running again.
    """


class _NotMarked(Exception):
    """Rolls the claim back: these rows would be run again and again, or never be told their outcome."""

    def __init__(self, whys: dict[str, str], *, all_of_them: bool) -> None:
        super().__init__("marks did not take")
        self.whys, self.all_of_them = whys, all_of_them


@dataclass(frozen=True)
class _Place:
    """Up to here, in the order of claiming, a look found only rows of keys that had enough waiting: these."""

    values: tuple[str, ...]
    saturated: frozenset[str]


@dataclass
class Window:
    """What waits in the ledger of this source, by fairness key."""

    waiting: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.waiting.values())


@dataclass
class Answers:
    """What a poll learned, by source: some may not have been asked, because others used up the time."""

    found: dict[int, bool] = field(default_factory=dict)  # whether a row is pending
    blamed: dict[int, GiveUp] = field(default_factory=dict)  # in trouble themselves
    doubtful: set[int] = field(default_factory=set)  # one of these is


def poll(pool: Pool, sources: list["Source"], *, seconds: float, step: int = 20) -> Answers:
    """Asks sources for pending rows, all of them in one statement whose answers are fetched step by step (0.1
    ms a source, against 1 ms for a claim that takes nothing). Who is locked or broken is known by its place
    in the statement; of a step that takes too long one source is slow.

    Raises RetryLater.
    """
    answers, rest, until = Answers(), sources, time.monotonic() + seconds
    while rest and (rest is sources or time.monotonic() < until):
        places: list[int] = []  # where the branch of each begins, until the statement is accepted
        try:
            with pool.on_table("looking for pending rows") as cursor:
                statement = _SQL["poll"]
                for source in rest:
                    statement += " union all " if places else " "
                    places.append(len(statement))
                    statement += source.look(cursor)
                cursor.execute(statement)
                places, fetched = [], step
                while fetched == step:
                    cursor.execute(_SQL["fetch"], {"n": step})
                    fetched = cursor.rowcount
                    answers.found.update(cursor.fetchall())
                return answers
        except GiveUp as error:
            left = [source for source in rest if source.source_id not in answers.found]
            place = _place(error)
            if not places:
                suspects = left[:step]
            elif place is not None:
                suspects = [rest[max(0, sum(begin <= place for begin in places) - 1)]]
            else:
                suspects = left
            if len(suspects) == 1:
                answers.blamed[suspects[0].source_id] = error
            else:
                answers.doubtful.update(source.source_id for source in suspects)
            rest = [source for source in left if source not in suspects]
    return answers


def _place(error: GiveUp) -> int | None:
    """The character of the statement that the database points at, from 0."""
    cause = error.__cause__
    place = cause.diag.statement_position if isinstance(cause, psycopg2.Error) else None
    return int(place) - 1 if place else None


def windows(pool: Pool, sources: list["Source"]) -> dict[int, Window]:
    """The windows of many sources, by their id."""
    seen: dict[int, Window] = {source.source_id: Window({}) for source in sources}
    for source_id, key, n in pool.rows(
        "looking at what sources have in the ledger", _SQL["windows"], {"sources": list(seen)}
    ):
        seen[source_id].waiting[key] = n
    return seen


class Source:
    """Statements of one RowSource, each compiled when it is first needed and kept as text: a source at rest
    needs but its look, and the compiled objects of 5,000 sources were 100 MB. The lists of rows that were
    refused are for one thread at a time.
    """

    def __init__(
        self, pool: Pool, plan: SourcePlan, inspection: Inspection, *, source_id: int, queue_id: int
    ) -> None:
        self.pool, self.plan, self.inspection = pool, plan, inspection
        self.source_id, self.queue_id = source_id, queue_id
        self.cursor: str | None = None
        self._forgets = 0  # as of the last look
        self.refused = Refused()
        self.surplus = 0  # rows that the last claim left, because their keys have enough waiting
        self._place: _Place | None = None
        self._texts: dict[tuple[str, bool, bool], str] = {}
        self._look: tuple[int, str] | None = None
        self._writer = WriteBack(pool, plan, inspection, source_id)

    def look(self, cursor: extensions.cursor) -> str:
        """One branch of the poll, ready to be sent."""
        refused = self.refused.keys()
        if self._look is None or self._look[0] != self.refused.version:
            statement = compiled(
                "look", self.plan, inspection=self.inspection, cursor_used=False, refusing=bool(refused)
            )
            self._look = (
                self.refused.version,
                cursor.mogrify(statement, {"source": self.source_id, "refused": refused}).decode(),
            )
        return self._look[1]

    def _text(
        self, cursor: extensions.cursor, name: str, *, refusing: bool = False, beyond: bool = False
    ) -> str:
        """A statement to be executed with parameters."""
        if (name, refusing, beyond) not in self._texts:
            with_inspection = None if name == "count_pending" else self.inspection
            cursor_used = name not in ("count_pending", "left_out")
            made = compiled(
                name,
                self.plan,
                inspection=with_inspection,
                cursor_used=cursor_used,
                refusing=refusing,
                beyond=beyond,
            )
            self._texts[name, refusing, beyond] = made.as_string(cursor)
        return self._texts[name, refusing, beyond]

    @property
    def _cursor_allowed(self) -> bool:
        """The cursor needs keys that are taken in ascending order, and nothing but the ledger that
        remembers.
        """
        return (
            not self.plan.status_column
            and not self.plan.runs_again
            and self.plan.order_by in ((), ((self.plan.key, False),))
            and not self.plan.turn_column
        )

    def knows_place(self, saturated: list[str]) -> bool:
        """Whether a look may begin behind rows of keys that all have enough waiting still, instead of reading
        a million of them again.
        """
        return self._place is not None and self._place.saturated.issubset(saturated)

    def claim(
        self, n: int, saturated: list[str], *, per_key: int = 50, whole: bool = False, beyond: bool = False
    ) -> int:
        """Moves up to n rows into the ledger, `per_key` of each key that may be throttled; returns how many
        became runs.

        What a key had beyond that is `surplus`. `whole`: without the cursor, so that late commits are found.
        `beyond`: only behind the place that is known; a row before it, such as one that was committed late,
        is another look's.
        """
        parameters = {
            "queue": self.queue_id,
            "priority": self.plan.priority,
            "task": self.plan.task,
            "n": n,
            "per_key": per_key,
            "write_back": self.plan.status_column is not None,
            "claimed": self.plan.claimed,
        }
        if beyond and self._place is not None:
            parameters |= {f"place{at}": value for at, value in enumerate(self._place.values)}
        seeking = not beyond and bool(saturated) and self._may_know_places
        end: tuple[str, ...] | None = None
        until = time.monotonic() + _SETTING_ASIDE_SECONDS
        while True:
            try:
                end = self._end() if seeking else None
                taken, last = self._claim(
                    parameters | self._parameters(saturated, whole=whole), beyond=beyond
                )
            except _Overtaken:
                return 0
            except _NotMarked as lost:
                self._set_aside(lost)
                if time.monotonic() > until:
                    return 0
            else:
                break
        exhausted = taken + self.surplus < n
        if not beyond:
            # What comes to lie before that end while we look is found by the next look from the beginning.
            self._place = _Place(end, frozenset(saturated)) if end is not None and exhausted else None
        self.refused.passed(taken, exhausted=exhausted)
        if last is not None and self._cursor_allowed and not whole:
            self.cursor = last
        return taken

    @property
    def _may_know_places(self) -> bool:
        seen = self.inspection
        return self.plan.throttles_keys and seen.places and seen.in_order and not self.plan.runs_again

    def _end(self) -> tuple[str, ...] | None:
        """Where the pending rows end in the order of claiming; None where there are none."""
        with self.pool.on_table(f"looking where the rows of source {self.plan.name} end") as cursor:
            cursor.execute(self._text(cursor, "place"))
            return cursor.fetchone()

    def _claim(self, parameters: dict[str, Any], *, beyond: bool = False) -> tuple[int, Any]:
        """(how many were taken, the last key in order); raises _NotMarked where the table does not say of
        each that it was, and _Overtaken.
        """
        with self.pool.on_table(f"taking rows of source {self.plan.name}") as cursor:
            statement = self._text(cursor, "claim", refusing=bool(parameters["refused"]), beyond=beyond)
            cursor.execute(statement, parameters)
            taken, last, to_check, remembered, self.surplus = cursor.fetchone() or (0, None, None, None, 0)
            if remembered is not None and remembered != taken:
                raise _Overtaken
            if to_check and self.inspection.rules:
                cursor.execute(self._text(cursor, "mark_apart"), parameters | {"keys": to_check})
            if to_check:
                cursor.execute(self._text(cursor, "read_back"), {"keys": to_check})
                found = [(key, self._why_unmarked(there, status)) for key, there, status in cursor.fetchall()]
                whys = {key: why for key, why in found if why}
                if whys:
                    raise _NotMarked(whys, all_of_them=len(whys) >= taken)
        return int(taken), last

    def _why_unmarked(self, there: bool, status: str | None) -> str | None:
        """None where the row is marked."""
        if status == self.plan.claimed:
            return None
        marking = f"marking it as {self.plan.claimed} did not take"
        if there:
            return f"{marking}: a trigger or a rule swallowed or changed it"
        return (
            f"{marking}: it leaves {self.inspection.relation} {self.plan.table} by that, so that its outcome"
            " could not be written"
        )

    def _set_aside(self, lost: _NotMarked) -> None:
        for key, why in lost.whys.items():
            trouble = reasons.MARK_LOST.error(
                table=self.plan.shown, column=self.plan.status_column, value=self.plan.claimed, why=why
            )
            if not self.refused.has_room(key):
                raise trouble
            self.refused.add(key, why, trouble, all_of_them=lost.all_of_them)

    def _parameters(self, saturated: list[str], *, whole: bool) -> dict[str, Any]:
        after = None if whole or not self._cursor_allowed else self.cursor
        return {
            "source": self.source_id,
            "saturated": saturated,
            "cursor": after,
            "refused": self.refused.keys(),
        }

    def refuse_head(self, saturated: list[str], error: GiveUp, *, whole: bool = False) -> bool:
        """Leaves out the row that comes first, because the database does not let it become a run; False where
        there is none.

        Raises GiveUp where as many are left out as can be.
        """
        parameters = self._parameters(saturated, whole=whole)
        with self.pool.on_table(f"looking for the row that is refused in source {self.plan.name}") as cursor:
            cursor.execute(self._text(cursor, "head", refusing=bool(parameters["refused"])), parameters)
            found = cursor.fetchone()
        if found is None:
            return False
        if not self.refused.has_room(found[0]):
            fact = (
                f"source {self.plan.name} has more than {refused.MOST} refused rows, and no more are passed"
                f" over: {error}"
            )
            raise reasons.ROW_REFUSED.error(fact=fact)
        self.refused.add(found[0], str(error), error)
        return True

    @property
    def may_leave_out(self) -> bool:
        """Whether there can be pending rows that never become runs as they are."""
        seen = self.inspection
        return seen.nullable_key or bool(seen.large_columns) or bool(long_columns(self.plan, seen))

    def left_out(self, cap: int) -> LeftOut:
        """Pending rows without a key, with a value too large for a run's arguments, or with a key too long,
        counted up to `cap`.
        """
        with self.pool.on_table(
            f"looking for rows of source {self.plan.name} that cannot be taken"
        ) as cursor:
            cursor.execute(self._text(cursor, "left_out"), {"cap": cap, "source": self.source_id})
            return LeftOut(*(int(count) for count in cursor.fetchone() or ()))

    def marks_after(self, after: str | None, n: int) -> tuple[str | None, int, list[str]]:
        """The next n rows in the order of the key: (the last key, how many, keys of those that carry our mark
        and that nobody holds).
        """
        with self.pool.on_table(f"auditing source {self.plan.name}") as cursor:
            made = compiled("marks", self.plan, inspection=self.inspection, cursor_used=after is not None)
            cursor.execute(made, {**self._held_by(cursor), "after": after, "n": n})
            last, read, marked = cursor.fetchone() or (None, 0, [])
            return last, int(read), list(marked)

    def unheld(self, keys: list[str]) -> set[str]:
        """Those of these keys whose rows carry our mark, and that nobody holds."""
        with self.pool.on_table(f"auditing source {self.plan.name}") as cursor:
            made = compiled("marks_again", self.plan, inspection=self.inspection)
            cursor.execute(made, {**self._held_by(cursor), "keys": keys})
            return {key for (key,) in cursor.fetchall()}

    def _held_by(self, cursor: extensions.cursor) -> dict[str, Any]:
        cursor.execute(_SQL["same_table"], {"source": self.source_id})
        (same,) = cursor.fetchone() or (None,)
        return {"claimed": self.plan.claimed, "same": same or [self.source_id]}

    def note_versions(self, after: str, n: int) -> str | None:
        """Notes the version of up to n rows whose keys are remembered without one; the key to go on from,
        None at the end.
        """
        if not self.plan.version_column:
            return None
        with self.pool.on_table(f"looking at versions of source {self.plan.name}") as cursor:
            cursor.execute(
                self._text(cursor, "note_versions"), {"source": self.source_id, "after": after, "n": n}
            )
            last, read, _ = cursor.fetchone() or (None, 0, 0)
        return None if read < n else last

    def window(self) -> Window:
        if self._cursor_allowed:
            self._begin_anew_where_forgotten()
        return windows(self.pool, [self])[self.source_id]

    def _begin_anew_where_forgotten(self) -> None:
        """Rows whose keys somebody had forgotten lie before the cursor."""
        ((forgets,),) = self.pool.rows(
            f"looking at source {self.plan.name}", _SQL["forgets"], {"source": self.source_id}
        ) or [(0,)]
        if forgets != self._forgets:
            self._forgets, self.cursor = forgets, None

    def count_pending(self, cap: int) -> int:
        """Rows still in the user's table, counted up to `cap`."""
        with self.pool.on_table(f"counting rows of source {self.plan.name}") as cursor:
            cursor.execute(self._text(cursor, "count_pending"), {"cap": cap, "source": self.source_id})
            return int((cursor.fetchone() or (0,))[0])

    def vanished(self, n: int, after: str | None) -> tuple[list[str], str | None]:
        """Runs not yet started whose row is no longer in the table, of the n runs that follow the key
        `after`; and the last key, None at the end.
        """
        with self.pool.on_table(f"looking for vanished rows of source {self.plan.name}") as cursor:
            cursor.execute(_SQL["waiting_keys"], {"source": self.source_id, "n": n, "after": after})
            runs: dict[str, str] = {key: run_id for run_id, key in cursor.fetchall()}
            if not runs:
                return [], None
            cursor.execute(self._text(cursor, "gone_keys"), {"keys": list(runs)})
            return [runs[key] for (key,) in cursor.fetchall()], list(runs)[-1] if len(runs) >= n else None

    def write_back(self) -> int:
        """Outcomes into the user's status column; returns how many lines left the outbox. Raises RetryLater,
        and GiveUp where the table cannot serve.
        """
        return self._writer.run(self._text) if self.plan.status_column else 0

    def take_left_alone(self) -> int:
        """Rows that were left alone since somebody last asked: their users, their tasks or newer runs had
        written to them, or they were gone.
        """
        return self._writer.take_left_alone()
