"""Looks for rows that carry our mark although the ledger knows no run of them: their key was changed, or
their table came back from a backup. Nobody would ever run them. They are told, never changed. Also notes
versions of rows that were taken before a source named its version column.

Slow on purpose: a page at a time in the order of the key, from pass to pass, within a small share of the
time.
"""

import time
from dataclasses import dataclass, field

from rowlock_operator.dispatch.marks import Marks
from rowlock_operator.dispatch.state import SharedState, SourceEntry
from rowlock_operator.errors import GiveUp
from rowlock_operator.rows.ledger import Ledger
from rowlock_operator.rows.pool import Patience, patient


@dataclass(frozen=True)
class AuditorSettings:
    page: int = 1000  # rows read at once
    share: float = 0.02  # of the time that reading may take
    shortest_pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0
    turn_seconds: float = 10.0  # a small table is not read through more often than that
    confirm_seconds: float = (
        3.0  # what is found is looked at again so much later: a claim or a write-back may have been under way
    )
    refused_seconds: float = 300.0  # until a table that did not answer in time is tried again
    most: int = 1000  # keys kept of one source
    patience: Patience = Patience(lock_ms=100, statement_ms=2_000)


@dataclass
class _Place:
    """Where the reading of one source is."""

    due: float = 0.0
    after: str | None = None  # the last key read; None = from the beginning
    at_end: bool = False
    suspects: dict[str, float] = field(default_factory=dict)  # key -> when it was found
    confirmed: set[str] = field(default_factory=set)  # in this turn


class Auditor:
    def __init__(self, state: SharedState, ledger: Ledger, settings: AuditorSettings) -> None:
        self._state, self._ledger, self._settings = state, ledger, settings
        self._places: dict[int, _Place] = {}  # by source id
        self._told: dict[int, str] | None = None  # what the ledger was told; None = nothing yet

    def run_once(self) -> float:
        """One page of the source whose turn it is; returns the seconds until the next."""
        settings, began = self._settings, time.monotonic()
        entries = {e.source.source_id: e for e in self._state.source_entries() if _auditable(e)}
        self._places = {id_: self._places.get(id_) or _Place() for id_ in entries}
        due = min(entries, key=lambda id_: self._places[id_].due, default=None)
        if due is not None and self._places[due].due <= began:
            place = self._places[due]
            try:
                with patient(settings.patience):
                    self._step(entries[due], place)
            except GiveUp:
                # Its other duties tell of a table in trouble; one that is just too slow to be read in order
                # is not audited.
                self._places[due] = _Place(due=time.monotonic() + settings.refused_seconds)
            self._tell(entries)
        took = time.monotonic() - began
        return max(
            settings.shortest_pause_seconds,
            min(settings.longest_pause_seconds, took * (1 / settings.share - 1)),
        )

    def _step(self, entry: SourceEntry, place: _Place) -> None:
        settings, now = self._settings, time.monotonic()
        place.due = now
        if entry.source.plan.version_column:
            place.after = entry.source.note_versions(place.after or "", settings.page)
            if place.after is None:
                place.due = now + settings.turn_seconds
            return
        if ripe := [key for key, found in place.suspects.items() if now - found >= settings.confirm_seconds]:
            place.confirmed |= entry.source.unheld(ripe)
            place.suspects = {key: found for key, found in place.suspects.items() if key not in ripe}
        if not place.at_end:
            last, read, marked = entry.source.marks_after(place.after, settings.page)
            known = place.confirmed | place.suspects.keys()
            place.suspects |= {
                key: now for key in marked[: max(0, settings.most - len(known))] if key not in known
            }
            place.after, place.at_end = last, read < settings.page
            return
        if place.suspects:
            place.due = min(place.suspects.values()) + settings.confirm_seconds
            return
        entry.marks = Marks(len(place.confirmed), tuple(sorted(place.confirmed)[: Marks.SHOWN]))
        self._places[entry.source.source_id] = _Place(due=now + settings.turn_seconds)

    def _tell(self, entries: dict[int, SourceEntry]) -> None:
        """Also into the ledger, for `rowlock health` and `rowlock why row`; nothing is written where nothing
        changed.
        """
        told = {
            id_: entry.marks.sentence(entry.source.plan)
            for id_, entry in entries.items()
            if entry.marks.count
        }
        if told == self._told:
            return
        for id_, sentence in told.items():
            self._ledger.source_marks(id_, sentence)
        self._ledger.marks_mended(list(entries), list(told))
        self._told = told


def _auditable(entry: SourceEntry) -> bool:
    return entry.source.plan.status_column is not None or entry.source.plan.version_column is not None
